/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a trace comes to: counts by process and size, ages, times, bytes held. */
#ifndef TALLY_H
#define TALLY_H

#include "histogram.h"
#include "map.h"
#include "series.h"
#include "trace.h"

/* What became of creates, and of what was asked back by MADVISE */
struct counts {
	uint64_t creates;
	uint64_t hits[TIERS];
	uint64_t misses[MISSES];
};

uint64_t counts_hits(const struct counts *counts);	/* of the creates */
uint64_t counts_misses(const struct counts *counts);

struct process {
	uint64_t tgid;
	char *name;
	struct counts counts;
};

/**
 * struct tally - the counts of a trace, to be zeroed first
 * @from: nanoseconds, the first event
 * @to: the last one
 * @events: how many there were
 * @gaps: how often some were lost before one
 * @dev: the number of the device
 * @off: creates while the cache was off
 * @timeout_ms: the knob, when it was on last
 * @max_bytes: the knob
 * @all: all processes
 * @processes: in the order they came
 * @n: how many
 * @tasks: by its number, the process of a task, as an index and one more
 * @tgids: likewise, by the number of the process
 * @buckets: by size class
 * @ages: at hits, milliseconds, by tier
 * @expired: how many
 * @purged: how many left for another reason
 * @took: creates, microseconds, by the tier that they came from
 * @held: bytes, by tier
 */
struct tally {
	uint64_t from;
	uint64_t to;
	uint64_t events;
	uint64_t gaps;
	uint64_t dev;
	uint64_t off;
	uint64_t timeout_ms;
	uint64_t max_bytes;
	struct counts all;
	struct process *processes;
	size_t n;
	struct map tasks;
	struct map tgids;
	struct counts buckets[BUCKETS];
	struct histogram ages[TIERS];
	uint64_t expired;
	uint64_t purged;
	struct histogram took[TIERS];
	struct series held[TIERS];
};

void tally_event(struct tally *tally, const struct trace_event *event);
/* The last event has been: who created most comes first */
void tally_end(struct tally *tally);
void tally_free(struct tally *tally);

#endif
