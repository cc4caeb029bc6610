/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace events of the driver's cache, from a file that "record" or trace-cmd
 * has written.  They come one after another, in the order of time, and nothing
 * of the file stays in memory.
 */
#ifndef TRACE_H
#define TRACE_H

#include <stdint.h>

#include "cachectl.h"

#define TRACE_SYSTEM "virtio_gpu_bo_cache"

/* The events; see the driver's documentation for what each one means */
enum trace_kind {
	TRACE_CREATE, TRACE_CREATED, TRACE_FREE, TRACE_PUT, TRACE_HIT,
	TRACE_MISS, TRACE_DEMOTE, TRACE_EXPIRE, TRACE_PURGE, TRACE_CLOSE,
	TRACE_KINDS
};

/* What is in the events' fields tier, reason and kind */
enum { TIER_NONE, TIER_RESOURCE, TIER_PAGES, TIER_PURGEABLE, TIERS };
enum {
	MISS_EMPTY, MISS_SIZE, MISS_CGROUP, MISS_OWNER, MISS_IDENT, MISS_BUSY,
	MISS_BACKOFF, MISSES
};
enum { PURGE_EXPIRED, PURGE_LIMIT, PURGE_REFUSED = 6, PURGE_CLOSED = 9 };
enum { KIND_BLOB, KIND_2D, KIND_3D, KIND_BUFFER };

/**
 * struct trace_event - an event
 * @kind: which one
 * @ns: when, on the trace's clock
 * @lost: events are missing before this one
 * @pid: the task
 * @process: what the task's process is called, or NULL; of a create only
 *
 * The others are as in the event's format, 0 where it has no such field.
 */
struct trace_event {
	enum trace_kind kind;
	uint64_t ns;
	bool lost;
	int pid;
	const char *process;
	uint64_t owner;
	uint64_t cgroup;
	uint64_t size;
	uint64_t max_bytes;
	uint64_t timeout_ms;
	uint64_t age_us;
	uint64_t took_us;
	uint64_t dev;
	uint64_t tgid;
	uint64_t res_id;
	uint64_t ident;
	uint64_t width;
	uint64_t bo_kind;
	uint64_t bucket;
	uint64_t tier;
	uint64_t reason;
};

/* What --device says: the number of a virtio device, or -1 if it says nothing */
enum status trace_device(const char *name, int *dev);

typedef void trace_fn(const struct trace_event *event, void *arg);

/*
 * Calls CALL with each event of the cache, of the device with the number DEV
 * or of that which comes first if it is negative.  Complains if the file is
 * none, is damaged, or has no such event.
 */
enum status trace_read(const char *path, int dev, trace_fn *call, void *arg);

/*
 * Runs a command that reads a trace in a process of its own: the library that
 * reads the file does not survive each file that is damaged.
 */
enum status trace_apart(command_fn *run, const struct options *opts, int argc,
			char **argv);

#endif
