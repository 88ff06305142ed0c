/*
 * takeover.h - one worker of a number at a time.
 */
#pragma once

/*
 * Takes BUS_DIR/worker-INDEX.lock, and waits for a predecessor that is still leaving to let go of
 * it, for at most LIMIT_TAKEOVER_MS. Returns the descriptor to keep (closing it lets the next one
 * in), or -1 (logged) if it can't be had: generations then keep the two apart.
 */
int takeover(const char *bus_dir, unsigned index);
