// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counts of trace events, taken in an instance of our own so that nobody
 * else's tracing is disturbed.
 */
#include "virtgpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_gpu.h>
#include <tracefs.h>

#define QUIET_MS 100			/* longer than a worker's turn */

struct trace {
	struct tracefs_instance *instance;
	struct tep_handle *tep;
};

static void trace_open(struct trace *t, const char *system)
{
	const char *systems[] = { system, NULL };
	char name[64];

	/*
	 * Else every enabled event has the scheduler patched, to record names;
	 * emulated processors have been seen to trip over such a patch.
	 */
	tracefs_option_disable(NULL, TRACEFS_OPTION_RECORD_CMD);
	snprintf(name, sizeof(name), "bo-cache-test-%s-%d", system, getpid());
	t->instance = tracefs_instance_create(name);
	must(t->instance);
	must(tracefs_instance_file_write(t->instance, "buffer_size_kb",
					 "4096") > 0);
	t->tep = tracefs_local_events_system(NULL, systems);
	must(t->tep);
}

static void trace_close(struct trace *t)
{
	tep_free(t->tep);
	tracefs_instance_destroy(t->instance);
	tracefs_instance_free(t->instance);
}

typedef int (*trace_fn)(struct tep_event *, struct tep_record *, int, void *);

/* Hands over what has been traced since the last call */
static void trace_read(struct trace *t, trace_fn fn, void *arg)
{
	tracefs_iterate_raw_events(t->tep, t->instance, NULL, 0, fn, arg);
}

static uint64_t field(struct tep_event *event, struct tep_record *record,
		      const char *name)
{
	unsigned long long value;

	must(!tep_get_field_val(NULL, event, name, record, &value, 1));
	return value;
}

/* Commands on the control queue */

struct tally {
	struct commands c;
	unsigned int answers;
	unsigned int unrefs;			/* with the host */
	bool unref[UINT16_MAX + 1];		/* is one, by its number */
	bool news;
	bool lost;
};

static struct tally tally;
static struct trace commands;		/* opened once: that takes long */

static void count_command(struct commands *c, uint16_t type)
{
	if (c->len < ARRAY_SIZE(c->type))
		c->type[c->len++] = type;
	c->all++;
	switch (type) {
	case VIRTIO_GPU_CMD_RESOURCE_CREATE_2D:
	case VIRTIO_GPU_CMD_RESOURCE_CREATE_3D:
	case VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB:
		c->creates++;
		break;
	case VIRTIO_GPU_CMD_RESOURCE_UNREF:
		c->unrefs++;
		break;
	case VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING:
		c->attaches++;
		break;
	case VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE:
		c->ctx_attaches++;
		break;
	case VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE:
		c->ctx_detaches++;
		break;
	}
}

/* Commands have a number since 6.12, and are answered in any order */
static void follow_unrefs(struct tally *t, uint16_t number, bool answer,
			  bool unref)
{
	if (!answer && !unref && t->unrefs > t->c.unrefs_ahead)
		t->c.unrefs_ahead = t->unrefs;
	if (answer ? !t->unref[number] : !unref)
		return;
	t->unref[number] = !answer;
	t->unrefs += answer ? -1 : 1;
	if (t->unrefs > t->c.unrefs_at_once)
		t->c.unrefs_at_once = t->unrefs;
}

static int on_command(struct tep_event *event, struct tep_record *record,
		      int cpu, void *arg)
{
	struct tally *t = arg;
	unsigned int type;
	bool answer;

	(void)cpu;
	if (record->missed_events)
		t->lost = true;
	if (field(event, record, "vq"))
		return 0;			/* the cursor's */
	type = field(event, record, "type");
	t->news = true;
	answer = strcmp(event->name, "virtio_gpu_cmd_queue");
	if (tep_find_field(event, "seqno"))
		follow_unrefs(t, field(event, record, "seqno"), answer,
			      type == VIRTIO_GPU_CMD_RESOURCE_UNREF);
	if (!answer) {
		count_command(&t->c, type);
		return 0;
	}
	t->answers++;
	if (type >= 0x1200 && type < 0x1300) {
		if (!t->c.errors++)
			t->c.first_error = type;
	}
	return 0;
}

/* Reads until nothing has happened for a while */
static void drain_commands(void)
{
	do {
		tally.news = false;
		sleep_ms(QUIET_MS);
		trace_read(&commands, on_command, &tally);
	} while (tally.news);
}

static void commands_close(void)
{
	trace_close(&commands);
}

void commands_start(void)
{
	if (!commands.instance) {
		trace_open(&commands, "virtio_gpu");
		atexit(commands_close);
	}
	must(!tracefs_event_enable(commands.instance, "virtio_gpu", NULL));
	drain_commands();
	memset(&tally, 0, sizeof(tally));
}

struct commands commands_stop(void)
{
	wait_until((drain_commands(), tally.answers >= tally.c.all));
	must(!tracefs_event_disable(commands.instance, "virtio_gpu", NULL));
	must(!tally.lost);
	return tally.c;
}

/* Works of the driver's */

static struct trace works;
static uint64_t *functions;
static size_t nr_functions;

static void find_functions(void)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	char line[512];
	unsigned long long addr;

	must(f);
	while (fgets(line, sizeof(line), f)) {
		if (!strstr(line, "[virtio_gpu]"))
			continue;
		must(sscanf(line, "%llx", &addr) == 1);
		functions = realloc(functions,
				    (nr_functions + 1) * sizeof(*functions));
		must(functions);
		functions[nr_functions++] = addr;
	}
	fclose(f);
	must(nr_functions);
	qsort(functions, nr_functions, sizeof(*functions), by_value);
}

static int on_work(struct tep_event *event, struct tep_record *record,
		   int cpu, void *arg)
{
	uint64_t addr = field(event, record, "function");
	unsigned int *n = arg;

	(void)cpu;
	if (bsearch(&addr, functions, nr_functions, sizeof(addr), by_value))
		++*n;
	return 0;
}

static void works_close(void)
{
	trace_close(&works);
}

void works_start(void)
{
	if (!works.instance) {
		find_functions();
		trace_open(&works, "workqueue");
		atexit(works_close);
	}
	must(!tracefs_event_enable(works.instance, "workqueue",
				   "workqueue_queue_work"));
}

unsigned int works_stop(void)
{
	unsigned int n = 0;

	must(!tracefs_event_disable(works.instance, "workqueue",
				    "workqueue_queue_work"));
	trace_read(&works, on_work, &n);
	return n;
}

/* As the kernel numbers its kinds of blocks */
#define MIGRATE_RECLAIMABLE 2

/* Pages of this task's: more of them than a buffer would hold, so they are summed */

static struct tracefs_instance *pages;

void need_page_counts(void)
{
	if (access("/sys/kernel/tracing/events/kmem/mm_page_alloc/hist", F_OK))
		skip();
}

static void pages_close(void)
{
	tracefs_instance_destroy(pages);
	tracefs_instance_free(pages);
}

static void pages_trigger(const char *how)
{
	char text[128];

	snprintf(text, sizeof(text),
		 "%shist:keys=order,migratetype if common_pid == %d", how, getpid());
	must(tracefs_event_file_write(pages, "kmem", "mm_page_alloc",
				      "trigger", text) > 0);
}

void pages_start(void)
{
	char name[64];

	if (!pages) {
		snprintf(name, sizeof(name), "bo-cache-test-pages-%d",
			 getpid());
		pages = tracefs_instance_create(name);
		must(pages);
		atexit(pages_close);
	}
	pages_trigger("");
}

struct pages pages_stop(void)
{
	unsigned long long order, type, count;
	struct pages n = { 0 };
	char *text = tracefs_event_file_read(pages, "kmem", "mm_page_alloc",
					     "hist", NULL);

	must(text);
	for (const char *line = text; (line = strstr(line, "{ order:"));
	     line++) {
		must(sscanf(line, "{ order: %llu, migratetype: %llu } "
			    "hitcount: %llu", &order, &type, &count) == 3);
		n.all += count << order;
		if (type == MIGRATE_RECLAIMABLE)
			n.reclaimable += count << order;
	}
	free(text);
	pages_trigger("!");
	return n;
}

/* Events of the cache's */

static struct trace events;
static char watched[64];
static struct {
	struct tep_event *event;
	char data[256];
	struct tep_record record;
} last;

static int on_event(struct tep_event *event, struct tep_record *record,
		    int cpu, void *arg)
{
	unsigned int *n = arg;

	(void)cpu;
	if (strcmp(event->name, watched))
		return 0;
	must(record->size <= (int)sizeof(last.data));
	memcpy(last.data, record->data, record->size);
	last.record = (struct tep_record) {
		.data = last.data, .size = record->size
	};
	last.event = event;
	++*n;
	return 0;
}

static void events_close(void)
{
	trace_close(&events);
}

void events_start(const char *event)
{
	if (!events.instance) {
		trace_open(&events, "virtio_gpu_bo_cache");
		atexit(events_close);
	}
	snprintf(watched, sizeof(watched), "%s", event);
	must(!tracefs_event_enable(events.instance, "virtio_gpu_bo_cache",
				   event));
}

unsigned int events_stop(void)
{
	unsigned int n = 0;

	must(!tracefs_event_disable(events.instance, "virtio_gpu_bo_cache",
				    watched));
	trace_read(&events, on_event, &n);
	return n;
}

uint64_t event_field(const char *name)
{
	must(last.event);
	return field(last.event, &last.record, name);
}
