/*
 * verify_index.h - where the events of a session lie: event_index, and event_lag for what it lacks.
 */
#pragma once

#include "chatd/ctl/verify_session.h"

/*
 * One pass over the events. Adds to the findings, and leaves PLACES behind for who reads events by
 * session: what the view event_places should show. The view itself is not relied upon, and would
 * look through the newest events of all sessions for each one that lags.
 */
void verify_index(struct verify *v);
