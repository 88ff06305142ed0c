/*
 * early_signal.h - SIGTERM and SIGINT before there is a loop to hear of them.
 */
#pragma once

/*
 * From now on either signal ends the process at once, with status 0: nothing has been begun that
 * would have to be ended (RUN-1). Handlers that are set later take its place.
 */
void early_signal_exits(void);
