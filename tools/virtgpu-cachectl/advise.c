// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * "advise": what other timeouts and limits would have done with the BOs of a
 * trace, and which of them are worth it.
 */

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "model.h"
#include "sheets.h"

static const uint64_t timeouts_ms[] = {
	50, 100, 250, 500, 1000, 2000, 4000, 8000, 15000, 30000, 60000
};

/* Of the limit that was in force, in quarters */
static const unsigned int limit_quarters[] = { 1, 4, 16 };

#define TIMEOUTS ARRAY_SIZE(timeouts_ms)
#define LIMITS ARRAY_SIZE(limit_quarters)
#define IN_FORCE 1			/* of the limits */

/* A knob is high enough if no more of the creates are lost to it, percent */
#define RATE_COST 1.0
/* The model is as good as it should be within this, percent of the hits */
#define MODEL_ERROR 2.0

/**
 * struct point - one pair of knobs
 * @rate: hits of all creates, percent
 * @mean: bytes held, over time
 */
struct point {
	uint64_t timeout_ms;
	uint64_t max_bytes;
	struct model *model;
	struct model_result result;
	double rate;
	double mean;
};

/**
 * struct advice - all of them
 * @dev: the number of the device
 * @from: nanoseconds, the first event
 * @to: the last one
 * @timeout_ms: the knob, when it was on last
 * @limit: the knob when it was first on, 0 before
 * @hits: recorded, by tier
 * @gaps: times that events were lost
 * @recorded: a model of what was
 * @points: by timeout, then limit
 */
struct advice {
	uint64_t dev;
	uint64_t from;
	uint64_t to;
	uint64_t timeout_ms;
	uint64_t limit;
	uint64_t hits[TIERS];
	uint64_t gaps;
	struct model *recorded;
	struct point points[TIMEOUTS][LIMITS];
};

static void start(struct advice *advice, uint64_t max_bytes)
{
	struct point *point;

	for (size_t t = 0; t < TIMEOUTS; t++)
		for (size_t l = 0; l < LIMITS; l++) {
			point = &advice->points[t][l];
			point->timeout_ms = timeouts_ms[t];
			point->max_bytes = max_bytes / 4 * limit_quarters[l];
			point->model = model_new(point->timeout_ms,
						 point->max_bytes);
		}
	advice->recorded = model_new(MODEL_AS_RECORDED, MODEL_AS_RECORDED);
	advice->limit = max_bytes;
}

static void on_event(const struct trace_event *event, void *arg)
{
	struct advice *advice = arg;

	if (!advice->from) {
		advice->from = event->ns;
		advice->dev = event->dev;
	}
	advice->to = event->ns;
	advice->gaps += event->lost;
	if (event->kind == TRACE_HIT && event->tier < TIERS)
		advice->hits[event->tier]++;
	if (event->timeout_ms)
		advice->timeout_ms = event->timeout_ms;
	if (!advice->limit && event->timeout_ms && event->max_bytes)
		start(advice, event->max_bytes);
	if (!advice->limit)
		return;
	model_event(advice->recorded, event);
	for (size_t t = 0; t < TIMEOUTS; t++)
		for (size_t l = 0; l < LIMITS; l++)
			model_event(advice->points[t][l].model, event);
}

static uint64_t result_hits(const struct model_result *result)
{
	return result->hits[TIER_RESOURCE] + result->hits[TIER_PAGES];
}

static void finish(struct advice *advice)
{
	double ns = advice->to > advice->from ? advice->to - advice->from : 1;
	struct point *point;

	for (size_t t = 0; t < TIMEOUTS; t++)
		for (size_t l = 0; l < LIMITS; l++) {
			point = &advice->points[t][l];
			point->result = model_result(point->model, advice->to);
			point->rate = point->result.creates ?
				100.0 * result_hits(&point->result) /
				point->result.creates : 0;
			point->mean = point->result.byte_ns / ns;
		}
}

/* The shortest timeout that is about as good as the longest */
static size_t find_enough(const struct advice *advice)
{
	size_t t = 0;

	while (t < TIMEOUTS - 1 &&
	       advice->points[t][IN_FORCE].rate + RATE_COST <
	       advice->points[TIMEOUTS - 1][IN_FORCE].rate)
		t++;
	return t;
}

/*
 * The knee of the curve of hits over bytes held, both from 0 to 1: where it is
 * farthest above the straight line from its first point to its last.
 */
static size_t find_knee(const struct advice *advice)
{
	const struct point *first = &advice->points[0][IN_FORCE];
	const struct point *last = &advice->points[TIMEOUTS - 1][IN_FORCE];
	double rates = last->rate - first->rate, above, most = 0;
	double means = last->mean - first->mean;
	const struct point *point;
	size_t knee = find_enough(advice);

	if (rates <= 0 || means <= 0)
		return knee;
	for (size_t t = 0; t < TIMEOUTS; t++) {
		point = &advice->points[t][IN_FORCE];
		above = (point->rate - first->rate) / rates -
			(point->mean - first->mean) / means;
		if (above > most) {
			most = above;
			knee = t;
		}
	}
	return knee;
}

/* The smallest that is about as good as the largest */
static size_t find_limit(const struct advice *advice, size_t knee)
{
	const struct point *points = advice->points[knee];
	size_t l = 0;

	while (l < LIMITS - 1 &&
	       points[l].rate + RATE_COST < points[LIMITS - 1].rate)
		l++;
	return l;
}

/* Of the recorded hits, percent; a few are nothing to divide by */
static double model_error(const struct advice *advice)
{
	struct model_result result = model_result(advice->recorded, advice->to);
	double recorded = advice->hits[TIER_RESOURCE] +
			  advice->hits[TIER_PAGES];

	return 100.0 * fabs(result_hits(&result) - recorded) /
	       (recorded > 1 ? recorded : 1);
}

static struct sheet new_sheet(const struct options *opts, const char *name,
			      const char *title)
{
	return (struct sheet) { title, table_new(name, opts) };
}

static struct sheet check_sheet(const struct options *opts,
				const struct advice *advice)
{
	static const char *const names[] = {
		[TIER_RESOURCE] = "resource", [TIER_PAGES] = "pages"
	};
	struct model_result result = model_result(advice->recorded, advice->to);
	struct sheet sheet = new_sheet(opts, "check",
				       "Hits as recorded and by the model");
	struct libscols_line *line;

	table_column(sheet.table, "TIER", COLUMN_TEXT, opts);
	table_column(sheet.table, "RECORDED", COLUMN_NUMBER, opts);
	table_column(sheet.table, "MODEL", COLUMN_NUMBER, opts);
	for (int tier = TIER_RESOURCE; tier <= TIER_PAGES; tier++) {
		line = table_line(sheet.table, NULL);
		table_cell(line, 0, format("%s", names[tier]));
		table_cell(line, 1, format("%" PRIu64, advice->hits[tier]));
		table_cell(line, 2, format("%" PRIu64, result.hits[tier]));
	}
	return sheet;
}

static void add_point(const struct sheet *sheet, const struct options *opts,
		      const struct point *point, const char *note)
{
	struct libscols_line *line = table_line(sheet->table, NULL);

	table_cell(line, 0, unit_format(UNIT_MS, point->timeout_ms,
					opts->bytes));
	table_cell(line, 1, unit_format(UNIT_BYTES, point->max_bytes,
					opts->bytes));
	table_cell(line, 2, format("%.1f", point->rate));
	table_cell(line, 3,
		   format("%" PRIu64, point->result.hits[TIER_RESOURCE]));
	table_cell(line, 4, format("%" PRIu64, point->result.hits[TIER_PAGES]));
	table_cell(line, 5, unit_format(UNIT_BYTES, point->mean, opts->bytes));
	table_cell(line, 6, unit_format(UNIT_BYTES, point->result.peak,
					opts->bytes));
	table_cell(line, 7, unit_format(UNIT_BYTES,
					point->result.byte_ns / 1e9,
					opts->bytes));
	table_cell(line, 8, format("%s", note));
}

static const char *note_of(const struct advice *advice, size_t t, size_t l,
			   size_t knee, size_t limit)
{
	if (t == knee && l == limit)
		return "advised";
	if (l != IN_FORCE)
		return "";
	if (t == knee)
		return "knee";
	return advice->points[t][l].timeout_ms == advice->timeout_ms ?
	       "in force" : "";
}

/* For people, a limit that was not in force is a matter of one timeout */
static struct sheet sweep_sheet(const struct options *opts,
				const struct advice *advice, size_t knee,
				size_t limit)
{
	static const size_t order[LIMITS] = { IN_FORCE, 0, 2 };
	struct sheet sheet = new_sheet(opts, "sweep",
				       "What other knobs would have done");

	table_column(sheet.table, "TIMEOUT", COLUMN_QUANTITY, opts);
	table_column(sheet.table, "LIMIT", COLUMN_QUANTITY, opts);
	table_column(sheet.table, "HIT%", COLUMN_NUMBER, opts);
	table_column(sheet.table, "RESOURCE", COLUMN_NUMBER, opts);
	table_column(sheet.table, "PAGES", COLUMN_NUMBER, opts);
	table_column(sheet.table, "HELD", COLUMN_QUANTITY, opts);
	table_column(sheet.table, "PEAK", COLUMN_QUANTITY, opts);
	table_column(sheet.table, "BYTE-SECONDS", COLUMN_QUANTITY, opts);
	table_column(sheet.table, "NOTE", COLUMN_TEXT, opts);
	for (size_t i = 0; i < LIMITS; i++)
		for (size_t t = 0; t < TIMEOUTS; t++)
			if (opts->json || order[i] == IN_FORCE || t == knee)
				add_point(&sheet, opts,
					  &advice->points[t][order[i]],
					  note_of(advice, t, order[i], knee,
						  limit));
	return sheet;
}

static struct sheet advice_sheet(const struct options *opts,
				 const struct advice *advice,
				 const struct point *point)
{
	struct sheet sheet = new_sheet(opts, "advice", "Advice");
	struct libscols_line *line;
	char *timeout = unit_format(UNIT_MS, point->timeout_ms, false);
	double error = model_error(advice);

	table_column(sheet.table, "COMMAND", COLUMN_TEXT, opts);
	table_column(sheet.table, "MODEL-ERROR%", COLUMN_NUMBER, opts);
	table_column(sheet.table, "NOTE", COLUMN_TEXT, opts);
	line = table_line(sheet.table, NULL);
	table_cell(line, 0,
		   format("virtgpu-cachectl set --device virtio%" PRIu64
			  " timeout_ms=%s max_bytes=%" PRIu64,
			  advice->dev, timeout, point->max_bytes));
	table_cell(line, 1, format("%.1f", error));
	table_cell(line, 2, format("%s", advice->gaps ?
				   "events were lost: record again" :
				   error > MODEL_ERROR ?
				   "the model is off: take it with care" : ""));
	free(timeout);
	return sheet;
}

static enum status show(const struct options *opts, struct advice *advice)
{
	size_t knee, limit;

	finish(advice);
	knee = find_knee(advice);
	limit = find_limit(advice, knee);
	return sheets_end((struct sheet []) {
		check_sheet(opts, advice),
		sweep_sheet(opts, advice, knee, limit),
		advice_sheet(opts, advice, &advice->points[knee][limit]),
	}, 3, opts);
}

static void end(struct advice *advice)
{
	if (!advice->recorded)
		return;
	model_free(advice->recorded);
	for (size_t t = 0; t < TIMEOUTS; t++)
		for (size_t l = 0; l < LIMITS; l++)
			model_free(advice->points[t][l].model);
}

static enum status advise_apart(const struct options *opts, int argc,
				char **argv)
{
	struct advice advice = { 0 };
	enum status status;
	int dev;

	(void)argc;
	status = trace_device(opts->device, &dev);
	if (!status)
		status = trace_read(argv[0], dev, on_event, &advice);
	if (!status && !advice.recorded) {
		complain("%s: the cache was off, or no BO was asked for",
			 argv[0]);
		advise("record with the cache on, which 'virtgpu-cachectl set enabled=on timeout_ms=1s' does");
		status = FAILED;
	}
	if (!status)
		status = show(opts, &advice);
	end(&advice);
	return status;
}

enum status cmd_advise(const struct options *opts, int argc, char **argv)
{
	return trace_apart(advise_apart, opts, argc, argv);
}
