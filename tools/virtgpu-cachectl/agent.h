/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The QEMU guest agent of one guest, by its socket on the host: has the guest's own
 * virtgpu-cachectl run, and waits for nothing.
 *
 * An agent is asked by agent_begin(); agent_go_on() is called when its descriptor is
 * ready or its time is up, until agent_busy() says no.
 */
#ifndef AGENT_H
#define AGENT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

/* What the guest is to do */
enum agent_job {
	AGENT_ASK,			/* say what it holds */
	AGENT_PURGE,			/* drop it */
};

struct agent;

struct agent *agent_new(const char *path);
void agent_free(struct agent *agent);

/* NOW is always what agent_now() returns, milliseconds */
uint64_t agent_now(void);

/* DEADLINE_MS: how long all of it may take */
void agent_begin(struct agent *agent, enum agent_job job, uint64_t now,
		 unsigned int deadline_ms);
void agent_go_on(struct agent *agent, short revents, uint64_t now);

bool agent_busy(const struct agent *agent);
/* For poll(); a negative descriptor waits for nothing */
struct pollfd agent_poll(const struct agent *agent);
/* When agent_go_on() is to be called anyway */
uint64_t agent_due(const struct agent *agent);

const char *agent_path(const struct agent *agent);
/* Why the last job failed, or NULL */
const char *agent_error(const struct agent *agent);
/* Bytes that the last job found or freed, and how long it took */
uint64_t agent_bytes(const struct agent *agent);
unsigned int agent_took_ms(const struct agent *agent);

#endif
