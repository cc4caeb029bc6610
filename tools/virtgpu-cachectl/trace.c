// SPDX-License-Identifier: GPL-2.0-or-later
/* Trace events of the driver's cache, from a file. */

#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trace-cmd.h>

#include "map.h"
#include "units.h"

/* Centuries: no clock of a trace's is later, and times can be added up */
#define NS_MAX (1ull << 62)

/* No record is that long */
#define OFFSET_MAX UINT16_MAX

/* What of the file has been read is let go in pieces of so much */
#define PIECE (256ull << 10)

static const char *const names[TRACE_KINDS] = {
	[TRACE_CREATE] = "bo_cache_create",
	[TRACE_CREATED] = "bo_cache_created",
	[TRACE_FREE] = "bo_cache_free",
	[TRACE_PUT] = "bo_cache_put",
	[TRACE_HIT] = "bo_cache_hit",
	[TRACE_MISS] = "bo_cache_miss",
	[TRACE_DEMOTE] = "bo_cache_demote",
	[TRACE_EXPIRE] = "bo_cache_expire",
	[TRACE_PURGE] = "bo_cache_purge",
	[TRACE_CLOSE] = "bo_cache_close",
};

static const struct {
	const char *name;
	size_t offset;
} fields[] = {
#define FIELD(name) { #name, offsetof(struct trace_event, name) }
	FIELD(owner), FIELD(cgroup), FIELD(size), FIELD(max_bytes),
	FIELD(timeout_ms), FIELD(age_us), FIELD(took_us), FIELD(dev),
	FIELD(tgid), FIELD(res_id), FIELD(ident), FIELD(width), FIELD(bucket),
	FIELD(tier), FIELD(reason),
	{ "kind", offsetof(struct trace_event, bo_kind) },
};

#define FIELDS ARRAY_SIZE(fields)

/**
 * struct reader - a file that is being read
 * @tep: what its events look like
 * @kinds: by the number of an event, its kind and one more, or 0
 * @fields: where an event has them, or NULL
 * @least: how long its records are at least
 * @dev: the device whose events are wanted, negative if any is
 * @n: how many of them there were
 * @others: how many there were of other devices
 * @ns: when the last one was
 * @pieces: by processor, where the piece that is being read begins
 * @lost: some are missing before the next one
 */
struct reader {
	struct tep_handle *tep;
	unsigned char kinds[UINT16_MAX + 1];
	struct tep_format_field *fields[TRACE_KINDS][FIELDS];
	int least[TRACE_KINDS];
	int dev;
	uint64_t n;
	uint64_t others;
	uint64_t ns;
	struct map pieces;
	bool lost;
	trace_fn *call;
	void *arg;
};

/* Which of the events there are, and which of their fields */
static bool find_events(struct reader *reader)
{
	struct tep_format_field *field;
	struct tep_event *event;
	bool found = false;
	int end;

	for (int kind = 0; kind < TRACE_KINDS; kind++) {
		event = tep_find_event_by_name(reader->tep, TRACE_SYSTEM,
					       names[kind]);
		if (!event || event->id < 0 || event->id > UINT16_MAX)
			continue;
		found = true;
		reader->kinds[event->id] = kind + 1;
		for (size_t i = 0; i < FIELDS; i++) {
			field = tep_find_field(event, fields[i].name);
			if (!field || field->offset < 0 ||
			    field->offset > OFFSET_MAX || field->size < 0 ||
			    field->size > 8)
				continue;
			reader->fields[kind][i] = field;
			end = field->offset + field->size;
			if (end > reader->least[kind])
				reader->least[kind] = end;
		}
	}
	return found;
}

/* NULL if the trace does not know it, for which the library has a text */
static const char *task_name(struct tep_handle *tep, int pid)
{
	const char *name = tep_data_comm_from_pid(tep, pid);

	return name && strcmp(name, "<...>") ? name : NULL;
}

/* That of its first thread, which other threads need not share */
static const char *process_name(struct tep_handle *tep,
				const struct trace_event *event)
{
	const char *name = NULL;

	if (event->tgid && event->tgid <= INT_MAX)
		name = task_name(tep, event->tgid);
	return name ? name : task_name(tep, event->pid);
}

static void decode(struct reader *reader, struct tep_record *record,
		   struct trace_event *event)
{
	struct tep_format_field **field = reader->fields[event->kind];
	unsigned long long value;

	event->ns = record->ts;
	event->pid = tep_data_pid(reader->tep, record);
	for (size_t i = 0; i < FIELDS; i++) {
		if (!field[i] ||
		    tep_read_number_field(field[i], record->data, &value))
			continue;
		*(uint64_t *)((char *)event + fields[i].offset) = value;
	}
}

/*
 * The library maps the file and never lets go of what has been read.  The kernel
 * does, if it is told.
 */
static void forget_behind(struct reader *reader, int cpu, const void *data)
{
	uint64_t *from = map_at(&reader->pieces, cpu);
	uint64_t here = (uintptr_t)data & -sysconf(_SC_PAGESIZE);

	if (*from && here >= *from && here - *from < PIECE)
		return;
	if (*from && here > *from && here - *from < 2 * PIECE)
		madvise((void *)(uintptr_t)*from, here - *from, MADV_PAGEOUT);
	*from = here;
}

/* Returns less than 0 when the file is damaged: nothing more is read then */
static int on_record(struct tracecmd_input *input, struct tep_record *record,
		     int cpu, void *arg)
{
	struct reader *reader = arg;
	struct trace_event event = { 0 };
	int kind;

	(void)input;
	forget_behind(reader, cpu, record->data);
	reader->lost |= record->missed_events;
	if (record->size < 8)
		return -1;
	kind = reader->kinds[tep_data_type(reader->tep, record) & UINT16_MAX];
	if (!kind--)
		return 0;
	/* The merge of processors puts them in order, of a sound file */
	if (record->size < reader->least[kind] || record->ts < reader->ns ||
	    record->ts > NS_MAX)
		return -1;
	event.kind = kind;
	decode(reader, record, &event);
	if (reader->dev < 0)
		reader->dev = event.dev;
	if (event.dev != (uint64_t)reader->dev) {
		reader->others++;
		return 0;
	}
	event.lost = reader->lost;
	reader->lost = false;
	if (kind == TRACE_CREATE)
		event.process = process_name(reader->tep, &event);
	reader->ns = event.ns;
	reader->n++;
	reader->call(&event, reader->arg);
	return 0;
}

/* The library tells of what it finds on standard output. */
static struct tracecmd_input *open_quietly(int fd)
{
	struct tracecmd_input *input;
	int out = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY);

	tracecmd_set_loglevel(TEP_LOG_NONE);
	fflush(stdout);
	if (null >= 0)
		dup2(null, STDOUT_FILENO);
	input = tracecmd_open_fd(fd, TRACECMD_FL_LOAD_NO_PLUGINS);
	fflush(stdout);
	if (out >= 0)
		dup2(out, STDOUT_FILENO);
	close(null);
	close(out);
	return input;
}

enum status trace_device(const char *name, int *dev)
{
	static const char prefix[] = "virtio";
	uint64_t number;

	*dev = -1;
	if (!name)
		return DONE;
	if (!strncmp(name, prefix, strlen(prefix)) &&
	    number_parse(name + strlen(prefix), &number) && number <= INT_MAX) {
		*dev = number;
		return DONE;
	}
	complain("'%s' is no virtio device", name);
	advise("in a trace it can only go by that name, for example virtio0");
	return USAGE;
}

static enum status open_file(const char *path, int *fd)
{
	struct stat stat;

	/* A pipe is not waited for: it is no file either */
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*fd < 0 || fstat(*fd, &stat))
		return file_failed(path);
	if (S_ISREG(stat.st_mode) && stat.st_size)
		return DONE;
	complain("%s: %s", path, S_ISREG(stat.st_mode) ? "is empty" :
		 "is no file");
	close(*fd);
	return FAILED;
}

static enum status read_events(const char *path, struct tracecmd_input *input,
			       struct reader *reader)
{
	reader->tep = tracecmd_get_tep(input);
	if (!find_events(reader)) {
		complain("%s: is a trace without events of the BO cache", path);
		advise("'virtgpu-cachectl record' makes one with them");
		return FAILED;
	}
	if (tracecmd_iterate_events(input, NULL, 0, on_record, reader) < 0) {
		complain("%s: is damaged after %" PRIu64 " events", path,
			 reader->n);
		return FAILED;
	}
	if (!reader->n && reader->others) {
		complain("%s: has no events of virtio%d", path, reader->dev);
		advise("without --device it is the one that comes first");
		return FAILED;
	}
	if (!reader->n) {
		complain("%s: nothing happened while it was recorded", path);
		advise("record while programs draw");
		return FAILED;
	}
	return DONE;
}

enum status trace_read(const char *path, int dev, trace_fn *call, void *arg)
{
	struct reader *reader = checked(calloc(1, sizeof(*reader)));
	struct tracecmd_input *input;
	enum status status;
	int fd;

	reader->dev = dev;
	reader->call = call;
	reader->arg = arg;
	status = open_file(path, &fd);
	if (!status) {
		input = open_quietly(fd);
		if (input) {
			status = read_events(path, input, reader);
			tracecmd_close(input);
		} else {
			complain("%s: is no trace.dat, or only a part of one",
				 path);
			advise("it takes what 'virtgpu-cachectl record' or trace-cmd has written");
			status = FAILED;
		}
	}
	map_free(&reader->pieces);
	free(reader);
	return status;
}

/* Somebody wants an end, or the reader of what is printed has gone */
static bool is_from_outside(int signal)
{
	return signal == SIGPIPE || signal == SIGINT || signal == SIGTERM ||
	       signal == SIGHUP || signal == SIGKILL;
}

enum status trace_apart(command_fn *run, const struct options *opts, int argc,
			char **argv)
{
	pid_t parent = getpid(), pid;
	int ended;

	/* Else there is nothing to wait for */
	signal(SIGCHLD, SIG_DFL);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			exit(FAILED);
		exit(end_of_output(run(opts, argc, argv)));
	}
	if (pid < 0 || waitpid(pid, &ended, 0) < 0) {
		complain("cannot start a process: %s", strerror(errno));
		return FAILED;
	}
	if (WIFEXITED(ended))
		return WEXITSTATUS(ended);
	if (is_from_outside(WTERMSIG(ended)))
		raise(WTERMSIG(ended));
	complain("%s: is damaged: reading it ended with signal %d", argv[0],
		 WTERMSIG(ended));
	return FAILED;
}
