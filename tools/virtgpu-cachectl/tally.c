// SPDX-License-Identifier: GPL-2.0-or-later
/* What a trace comes to. */

#include "tally.h"

#include <stdlib.h>
#include <string.h>

/* How many bytes of TEXT are a character of UTF-8, 0 if they are none */
static size_t character_size(const unsigned char *text)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *text < 0x80 ? 1 : *text < 0xe0 ? 2 : *text < 0xf0 ? 3 : 4;
	uint32_t code = *text;

	if (n == 1)
		return 1;
	if (*text < 0xc2 || *text > 0xf4)
		return 0;
	code &= 0x7f >> n;
	for (size_t i = 1; i < n; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	/* Nor what UTF-16 has for its own use */
	return code >= least[n] && code <= 0x10ffff && code >> 11 != 0x1b ? n :
	       0;
}

/* Names are any bytes, and are cut off after 15; JSON takes characters only */
static char *clean_copy(const char *name)
{
	char *copied = checked(strdup(name)), *c = copied;
	size_t n;

	while (*c) {
		n = character_size((const unsigned char *)c);
		if (!n || (unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
		c += n ? n : 1;
	}
	return copied;
}

uint64_t counts_hits(const struct counts *counts)
{
	return counts->hits[TIER_RESOURCE] + counts->hits[TIER_PAGES];
}

uint64_t counts_misses(const struct counts *counts)
{
	uint64_t n = 0;

	for (int i = 0; i < MISSES; i++)
		n += counts->misses[i];
	return n;
}

static struct process *process_of(struct tally *tally, uint64_t tgid,
				  const char *name)
{
	uint64_t *place = map_at(&tally->tgids, tgid);
	struct process *process;

	if (!*place) {
		tally->processes = grown(tally->processes, tally->n,
					 sizeof(*tally->processes));
		process = &tally->processes[tally->n++];
		*process = (struct process) { .tgid = tgid };
		*place = tally->n;
	}
	process = &tally->processes[*place - 1];
	if (name && !process->name)
		process->name = clean_copy(name);
	return process;
}

/* A create says of which process a task is; a hit or miss follows from there */
static struct process *process_by_task(struct tally *tally,
				       const struct trace_event *event)
{
	uint64_t *tgid = map_at(&tally->tasks, event->pid);

	if (event->kind == TRACE_CREATE)
		*tgid = event->tgid;
	return process_of(tally, *tgid ? *tgid : (uint64_t)event->pid,
			  event->process);
}

static void held_add(struct tally *tally, const struct trace_event *event,
		     bool enters)
{
	struct series *held = &tally->held[event->tier];
	uint64_t size = event->size, now = held->now;

	/* What was there before the trace begins was not counted */
	if (!enters)
		now -= size < now ? size : now;
	else if (__builtin_add_overflow(now, size, &now))
		now = UINT64_MAX;
	series_set(held, event->ns, now);
}

static void on_create(struct tally *tally, const struct trace_event *event)
{
	if (event->timeout_ms) {
		tally->timeout_ms = event->timeout_ms;
		tally->max_bytes = event->max_bytes;
	} else {
		tally->off++;
	}
	tally->all.creates++;
	process_by_task(tally, event)->counts.creates++;
	tally->buckets[event->bucket].creates++;
}

static void on_hit(struct tally *tally, const struct trace_event *event)
{
	held_add(tally, event, false);
	histogram_add(&tally->ages[event->tier], event->age_us / 1000);
	tally->all.hits[event->tier]++;
	process_by_task(tally, event)->counts.hits[event->tier]++;
	tally->buckets[event->bucket].hits[event->tier]++;
}

static void on_miss(struct tally *tally, const struct trace_event *event)
{
	unsigned int reason = event->reason < MISSES ? event->reason : 0;

	tally->all.misses[reason]++;
	process_by_task(tally, event)->counts.misses[reason]++;
	tally->buckets[event->bucket].misses[reason]++;
}

void tally_event(struct tally *tally, const struct trace_event *event)
{
	if (!tally->events++) {
		tally->from = event->ns;
		tally->dev = event->dev;
		for (int tier = 0; tier < TIERS; tier++)
			series_set(&tally->held[tier], event->ns, 0);
	}
	tally->to = event->ns;
	tally->gaps += event->lost;
	/* A damaged file may say anything */
	if (event->tier >= TIERS || event->bucket >= BUCKETS)
		return;
	switch (event->kind) {
	case TRACE_CREATE:
		on_create(tally, event);
		break;
	case TRACE_CREATED:
		histogram_add(&tally->took[event->tier], event->took_us);
		break;
	case TRACE_HIT:
		on_hit(tally, event);
		break;
	case TRACE_MISS:
		on_miss(tally, event);
		break;
	case TRACE_PUT:
		held_add(tally, event, true);
		break;
	case TRACE_EXPIRE:
		tally->expired++;
		held_add(tally, event, false);
		break;
	case TRACE_PURGE:
		tally->purged++;
		held_add(tally, event, false);
		break;
	case TRACE_DEMOTE:
		held_add(tally, event, false);
		break;
	default:
		break;
	}
}

static int by_creates(const void *one, const void *other)
{
	const struct process *a = one, *b = other;

	if (a->counts.creates != b->counts.creates)
		return a->counts.creates < b->counts.creates ? 1 : -1;
	return (a->tgid > b->tgid) - (a->tgid < b->tgid);
}

void tally_end(struct tally *tally)
{
	for (int tier = 0; tier < TIERS; tier++)
		series_set(&tally->held[tier], tally->to,
			   tally->held[tier].now);
	if (tally->n)
		qsort(tally->processes, tally->n, sizeof(*tally->processes),
		      by_creates);
}

void tally_free(struct tally *tally)
{
	for (size_t i = 0; i < tally->n; i++)
		free(tally->processes[i].name);
	free(tally->processes);
	map_free(&tally->tasks);
	map_free(&tally->tgids);
}
