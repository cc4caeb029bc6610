// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A model of the driver's cache.
 *
 * A freed BO is in the resource tier, in the pages tier, or on its way from one
 * to the other, with the host.  How long that takes is known from the trace if
 * the real BO took the same way; else it is what others took.
 */

#include "model.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

#define NS_PER_MS 1000000ull
#define NEVER UINT64_MAX

/* The driver's: how far it looks into a list ... */
#define SCAN_MAX 64
/* ... and by which part a buffer may be larger than asked */
#define BUFFER_SLACK 8

/*
 * The driver's clock is late: it waits for more to do, and the kernel's timers are
 * the coarser the longer they are.  By which part of the timeout, until the trace
 * has told.
 */
#define LATE (3.0 / 64)
/* With the recorded timeout the trace says when it ran; at the latest it does so */
#define LATE_MAX (5.0 / 32)
/* What expires so soon after another did so with it */
#define BURST_NS (5 * NS_PER_MS)

/* The driver takes the time of a free this much, at most, before it is traced */
#define TRACED_LATE_NS NS_PER_MS

/* More is no knob, and could not be added up */
#define TIMEOUT_MAX_MS 86400000ull
#define LIMIT_MAX (1ull << 60)

#define HEADS 1024

/* Where a BO is: a tier, or TIER_NONE for on its way */
struct bo {
	uint64_t freed;
	uint64_t since;			/* is on its way */
	uint64_t due;			/* arrives, NEVER: the trace will tell */
	uint64_t size;
	uint64_t owner;
	uint64_t cgroup;
	uint32_t res_id;
	uint32_t ident;
	uint32_t width;
	uint16_t bucket;
	uint8_t kind;
	uint8_t place;
	bool demoted;			/* so was the real one */
	TAILQ_ENTRY(bo) by_age;		/* in its place */
	LIST_ENTRY(bo) by_key;		/* what a create looks for */
	LIST_ENTRY(bo) by_owner;	/* in the resource tier */
	LIST_ENTRY(bo) by_id;
};

TAILQ_HEAD(queue, bo);
LIST_HEAD(chain, bo);

struct model {
	bool timeout_fixed;
	bool limit_fixed;
	uint64_t timeout_ns;
	uint64_t limit;
	uint64_t due;			/* when the clock runs */
	uint64_t travel_ns;		/* how long the host takes */
	uint64_t recorded_ns;		/* the timeout that was in force */
	uint64_t expired;		/* when the trace told of that last */
	double late;			/* the clock, by this part of it */
	uint64_t held;
	uint64_t held_since;
	struct queue places[TIERS];
	struct queue awaited;		/* on their way, the trace will tell */
	struct chain keys[HEADS];
	struct chain owners[HEADS];
	struct chain ids[HEADS];
	struct model_result result;
};

static uint64_t at_most(uint64_t value, uint64_t max)
{
	return value < max ? value : max;
}

static unsigned int hash(uint64_t a, uint64_t b)
{
	return ((a * 0x9e3779b97f4a7c15 ^ b) * 0xff51afd7ed558ccd) >> 54;
}

static_assert(HEADS == 1 << (64 - 54), "hash() gives as many");

/* In the resource tier the owner's own, in the pages tier the cgroup's */
static struct chain *key_chain(struct model *model, unsigned int place,
			       uint64_t whose, uint64_t bucket)
{
	return &model->keys[hash(whose, bucket * TIERS + place)];
}

static struct chain *bo_chain(struct model *model, const struct bo *bo)
{
	return key_chain(model, bo->place, bo->place == TIER_RESOURCE ?
			 bo->owner : bo->cgroup, bo->bucket);
}

static struct queue *bo_queue(struct model *model, const struct bo *bo)
{
	return bo->place == TIER_NONE && bo->due == NEVER ? &model->awaited :
	       &model->places[bo->place];
}

/* What was held until now is added up. */
static void held_change(struct model *model, uint64_t ns, int64_t bytes)
{
	struct model_result *result = &model->result;

	if (ns > model->held_since) {
		result->byte_ns += (double)model->held *
				   (ns - model->held_since);
		model->held_since = ns;
	}
	model->held += bytes;
	if (model->held > result->peak)
		result->peak = model->held;
}

/* First what was freed first, on its way what arrives first */
static uint64_t bo_order(const struct bo *bo)
{
	return bo->place == TIER_NONE ? bo->due : bo->freed;
}

static void bo_enter(struct model *model, struct bo *bo, unsigned int place,
		     uint64_t ns)
{
	struct queue *queue;
	struct bo *before;

	bo->place = place;
	queue = bo_queue(model, bo);
	TAILQ_FOREACH_REVERSE(before, queue, queue, by_age)
		if (bo_order(before) <= bo_order(bo))
			break;
	if (before)
		TAILQ_INSERT_AFTER(queue, before, bo, by_age);
	else
		TAILQ_INSERT_HEAD(queue, bo, by_age);
	LIST_INSERT_HEAD(&model->ids[hash(bo->res_id, 0)], bo, by_id);
	if (place == TIER_NONE)
		return;
	LIST_INSERT_HEAD(bo_chain(model, bo), bo, by_key);
	if (place == TIER_RESOURCE)
		LIST_INSERT_HEAD(&model->owners[hash(bo->owner, 0)], bo,
				 by_owner);
	held_change(model, ns, bo->size);
}

static void bo_leave(struct model *model, struct bo *bo, uint64_t ns)
{
	TAILQ_REMOVE(bo_queue(model, bo), bo, by_age);
	LIST_REMOVE(bo, by_id);
	if (bo->place == TIER_NONE)
		return;
	LIST_REMOVE(bo, by_key);
	if (bo->place == TIER_RESOURCE)
		LIST_REMOVE(bo, by_owner);
	held_change(model, ns, -bo->size);
}

static void bo_drop(struct model *model, struct bo *bo, uint64_t ns)
{
	bo_leave(model, bo, ns);
	free(bo);
}

/* The one that was freed last */
static struct bo *bo_find(struct model *model, uint32_t res_id)
{
	struct bo *bo;

	LIST_FOREACH(bo, &model->ids[hash(res_id, 0)], by_id)
		if (bo->res_id == res_id)
			return bo;
	return NULL;
}

/*
 * The clock
 */

static struct bo *oldest(struct model *model)
{
	struct bo *resource = TAILQ_FIRST(&model->places[TIER_RESOURCE]);
	struct bo *pages = TAILQ_FIRST(&model->places[TIER_PAGES]);

	if (!resource || !pages)
		return resource ? resource : pages;
	return pages->freed < resource->freed ? pages : resource;
}

static void arm(struct model *model, uint64_t due)
{
	if (due < model->due)
		model->due = due;
}

static void arm_expiry(struct model *model)
{
	struct bo *bo = oldest(model);

	if (bo)
		arm(model, bo->freed + model->timeout_ns +
		    (uint64_t)(model->timeout_ns * model->late));
}

static void clock_run(struct model *model, uint64_t ns)
{
	struct bo *bo;

	while ((bo = oldest(model)) && bo->freed + model->timeout_ns <= ns)
		bo_drop(model, bo, ns);
	model->due = NEVER;
	arm_expiry(model);
}

static void make_room(struct model *model, uint64_t size, uint64_t ns)
{
	struct bo *bo;

	while (model->held + size > model->limit && (bo = oldest(model)))
		bo_drop(model, bo, ns);
}

/* Out of the way that it was on, into the pages tier */
static void arrive(struct model *model, struct bo *bo, uint64_t ns)
{
	bo_leave(model, bo, ns);
	make_room(model, bo->size, ns);
	bo_enter(model, bo, TIER_PAGES, ns);
	arm_expiry(model);
}

/* What the trace has never told of: it would be too old by now */
static void forget_awaited(struct model *model, uint64_t ns)
{
	struct bo *bo;

	while ((bo = TAILQ_FIRST(&model->awaited)) &&
	       bo->freed + 2 * model->timeout_ns < ns)
		bo_drop(model, bo, ns);
}

static void advance(struct model *model, uint64_t ns)
{
	struct bo *coming;

	for (;;) {
		coming = TAILQ_FIRST(&model->places[TIER_NONE]);
		if (coming && coming->due <= ns && coming->due <= model->due)
			arrive(model, coming, coming->due);
		else if (model->due <= ns)
			clock_run(model, model->due);
		else
			break;
	}
	forget_awaited(model, ns);
}

/*
 * Events
 */

static bool serves(const struct bo *bo, const struct trace_event *want)
{
	if (bo->ident != want->ident || bo->kind != want->bo_kind)
		return false;
	if (want->bo_kind != KIND_BUFFER)
		return bo->size == want->size && bo->width == want->width;
	return bo->size >= want->size && bo->width >= want->width &&
	       bo->width - want->width <= want->width / BUFFER_SLACK;
}

static struct bo *find_resource(struct model *model,
				const struct trace_event *want)
{
	struct bo *bo;

	if (!want->owner)
		return NULL;
	LIST_FOREACH(bo, key_chain(model, TIER_RESOURCE, want->owner,
				   want->bucket), by_key)
		if (bo->place == TIER_RESOURCE && bo->owner == want->owner &&
		    bo->cgroup == want->cgroup &&
		    bo->bucket == want->bucket && serves(bo, want))
			return bo;
	return NULL;
}

static struct bo *find_pages(struct model *model,
			     const struct trace_event *want)
{
	unsigned int scanned = 0;
	struct bo *bo;

	LIST_FOREACH(bo, key_chain(model, TIER_PAGES, want->cgroup,
				   want->bucket), by_key) {
		if (bo->place != TIER_PAGES || bo->cgroup != want->cgroup ||
		    bo->bucket != want->bucket)
			continue;
		if (want->bo_kind == KIND_BUFFER ? bo->size >= want->size :
						   bo->size == want->size)
			return bo;
		if (++scanned == SCAN_MAX)
			break;
	}
	return NULL;
}

static void on_create(struct model *model, const struct trace_event *event)
{
	struct bo *bo;

	/* It was off */
	if (!event->timeout_ms)
		return;
	model->result.creates++;
	bo = find_resource(model, event);
	if (!bo)
		bo = find_pages(model, event);
	if (!bo)
		return;
	model->result.hits[bo->place]++;
	bo_drop(model, bo, event->ns);
}

static void on_free(struct model *model, const struct trace_event *event)
{
	struct bo *bo;

	if (event->tier == TIER_NONE || event->size > model->limit)
		return;
	bo = checked(malloc(sizeof(*bo)));
	*bo = (struct bo) {
		.freed = event->ns, .since = event->ns, .due = NEVER,
		.size = event->size, .owner = event->owner,
		.cgroup = event->cgroup, .res_id = event->res_id,
		.ident = event->ident, .width = event->width,
		.bucket = event->bucket, .kind = event->bo_kind,
	};
	if (event->tier != TIER_RESOURCE) {
		bo_enter(model, bo, TIER_NONE, event->ns);
		return;
	}
	make_room(model, bo->size, event->ns);
	bo_enter(model, bo, TIER_RESOURCE, event->ns);
	if (model->due == NEVER)
		arm_expiry(model);
}

/* What the real one does now the model's does when it hears of the close */
static void on_demote(struct model *model, const struct trace_event *event)
{
	struct bo *bo = bo_find(model, event->res_id);

	if (bo && bo->place == TIER_RESOURCE)
		bo->demoted = true;
}

static void on_close(struct model *model, const struct trace_event *event)
{
	struct bo *bo, *next;

	for (bo = LIST_FIRST(&model->owners[hash(event->owner, 0)]); bo;
	     bo = next) {
		next = LIST_NEXT(bo, by_owner);
		if (bo->owner != event->owner)
			continue;
		bo_leave(model, bo, event->ns);
		bo->since = event->ns;
		bo->due = bo->demoted ? NEVER : event->ns + model->travel_ns;
		bo_enter(model, bo, TIER_NONE, event->ns);
	}
}

static void on_put(struct model *model, const struct trace_event *event)
{
	struct bo *bo = bo_find(model, event->res_id);

	if (event->tier != TIER_PAGES || !bo || bo->place == TIER_PAGES ||
	    (bo->place == TIER_RESOURCE && !bo->demoted))
		return;
	if (bo->place == TIER_NONE)
		model->travel_ns = (model->travel_ns * 7 +
				    event->ns - bo->since) / 8;
	arrive(model, bo, event->ns);
}

/*
 * What was taken for a reason from outside, all that is as old went with, but with
 * what the host refused
 */
static void on_purge(struct model *model, const struct trace_event *event)
{
	uint64_t freed = event->ns - event->age_us * 1000 + TRACED_LATE_NS;
	struct bo *bo = bo_find(model, event->res_id), *next;
	uint64_t cgroup = bo ? bo->cgroup : 0;
	bool any = !bo;

	if (event->tier == TIER_NONE || event->reason == PURGE_REFUSED) {
		if (bo && bo->place == event->tier)
			bo_drop(model, bo, event->ns);
		return;
	}
	if (event->reason == PURGE_LIMIT || event->reason == PURGE_CLOSED ||
	    event->tier == TIER_PURGEABLE || event->tier >= TIERS)
		return;
	for (bo = TAILQ_FIRST(&model->places[event->tier]);
	     bo && bo->freed <= freed; bo = next) {
		next = TAILQ_NEXT(bo, by_age);
		if (any || bo->cgroup == cgroup)
			bo_drop(model, bo, event->ns);
	}
}

/* How late the real clock is: what goes first has waited longest */
static void on_expire(struct model *model, const struct trace_event *event)
{
	double age_ns = event->age_us * 1000.0, late;

	if (event->tier == TIER_PURGEABLE)
		return;
	if (!model->timeout_fixed) {
		clock_run(model, event->ns);
		return;
	}
	if (model->recorded_ns && event->ns - model->expired > BURST_NS) {
		late = age_ns / model->recorded_ns - 1;
		/* Far off, the knob was turned meanwhile */
		if (late >= 0 && late < 1)
			model->late = (7 * model->late + late) / 8;
	}
	model->expired = event->ns;
}

/* The knobs as they were, where they are not the model's own */
static void follow_knobs(struct model *model, const struct trace_event *event)
{
	uint64_t timeout_ns = at_most(event->timeout_ms, TIMEOUT_MAX_MS) *
			      NS_PER_MS;

	if (!timeout_ns)
		return;
	model->recorded_ns = timeout_ns;
	if (!model->limit_fixed) {
		model->limit = at_most(event->max_bytes, LIMIT_MAX);
		make_room(model, 0, event->ns);
	}
	if (model->timeout_fixed || model->timeout_ns == timeout_ns)
		return;
	model->timeout_ns = timeout_ns;
	arm_expiry(model);
}

void model_event(struct model *model, const struct trace_event *event)
{
	static void (*const on[TRACE_KINDS])(struct model *,
					     const struct trace_event *) = {
		[TRACE_CREATE] = on_create,
		[TRACE_FREE] = on_free,
		[TRACE_PUT] = on_put,
		[TRACE_DEMOTE] = on_demote,
		[TRACE_EXPIRE] = on_expire,
		[TRACE_PURGE] = on_purge,
		[TRACE_CLOSE] = on_close,
	};

	if (!on[event->kind])
		return;
	advance(model, event->ns);
	if (event->kind == TRACE_CREATE || event->kind == TRACE_FREE)
		follow_knobs(model, event);
	on[event->kind](model, event);
}

struct model_result model_result(struct model *model, uint64_t ns)
{
	advance(model, ns);
	held_change(model, ns, 0);
	return model->result;
}

struct model *model_new(uint64_t timeout_ms, uint64_t max_bytes)
{
	struct model *model = checked(calloc(1, sizeof(*model)));

	model->timeout_fixed = timeout_ms != MODEL_AS_RECORDED;
	model->limit_fixed = max_bytes != MODEL_AS_RECORDED;
	model->timeout_ns = model->timeout_fixed ? timeout_ms * NS_PER_MS : 0;
	model->limit = model->limit_fixed ? at_most(max_bytes, LIMIT_MAX) : 0;
	model->due = NEVER;
	model->late = model->timeout_fixed ? LATE : LATE_MAX;
	for (unsigned int place = 0; place < TIERS; place++)
		TAILQ_INIT(&model->places[place]);
	TAILQ_INIT(&model->awaited);
	return model;
}

void model_free(struct model *model)
{
	struct bo *bo;

	while ((bo = oldest(model)) ||
	       (bo = TAILQ_FIRST(&model->places[TIER_NONE])) ||
	       (bo = TAILQ_FIRST(&model->awaited)))
		bo_drop(model, bo, model->held_since);
	free(model);
}
