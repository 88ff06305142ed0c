/*
 * verify_schema.h - the tables, indexes and views of the log against those of its schema version.
 */
#pragma once

#include "chatd/ctl/verify_session.h"

/* Adds to the findings. What an operator has added to the log is none. */
void verify_schema(struct verify *v);
