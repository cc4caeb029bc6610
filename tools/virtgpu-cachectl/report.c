// SPDX-License-Identifier: GPL-2.0-or-later
/* "report": what happened while a trace was recorded. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "page.h"
#include "tally.h"

/* Of processes, in text */
#define PROCESSES_SHOWN 20
/* Of the time, in text */
#define TIMES_SHOWN 16
enum { SUMMARY, PROCESSES, SIZES, AGES, TIMES, HELD, SHEETS };

static const char *const tier_names[TIERS] = {
	"new", "resource", "pages", "purgeable"
};

static const char *const tier_columns[TIERS] = {
	"NEW", "RESOURCE", "PAGES", "PURGEABLE"
};

static const char *const miss_columns[MISSES] = {
	"EMPTY", "SIZE", "CGROUP", "OWNER", "IDENT", "BUSY", "BACKOFF"
};

struct report {
	const struct options *opts;
	const struct tally *tally;
};

static char *number(uint64_t value)
{
	return format("%" PRIu64, value);
}

static char *copy(const char *text)
{
	return text ? checked(strdup(text)) : NULL;
}

static struct sheet new_sheet(const struct report *report, const char *name,
			      const char *title)
{
	return (struct sheet) { title, table_new(name, report->opts) };
}

/*
 * Summary
 */

/* Takes VALUE */
static void add_fact(const struct sheet *sheet, const char *name, char *value,
		     const char *meaning)
{
	struct libscols_line *line = table_line(sheet->table, NULL);

	table_cell(line, 0, copy(name));
	table_cell(line, 1, value);
	table_cell(line, 2, copy(meaning));
}

static struct sheet summary(const struct report *report)
{
	const struct tally *tally = report->tally;
	struct sheet sheet = new_sheet(report, "summary", "Summary");
	bool plain = report->opts->bytes;
	uint64_t creates = tally->all.creates;

	table_column(sheet.table, "WHAT", COLUMN_TEXT, report->opts);
	table_column(sheet.table, "VALUE", COLUMN_QUANTITY, report->opts);
	table_column(sheet.table, "MEANING", COLUMN_TEXT, report->opts);
	add_fact(&sheet, "device", number(tally->dev),
		 "the number of the virtio device");
	add_fact(&sheet, "time", unit_format(UNIT_MS, (tally->to - tally->from)
					     / 1000000, plain),
		 "from the first event to the last");
	add_fact(&sheet, "events", number(tally->events), "of the device");
	add_fact(&sheet, "gaps", number(tally->gaps),
		 "times that events were lost: there was no room for them");
	add_fact(&sheet, "timeout_ms", unit_format(UNIT_MS, tally->timeout_ms,
						   plain),
		 "the knob");
	add_fact(&sheet, "max_bytes", unit_format(UNIT_BYTES, tally->max_bytes,
						  plain),
		 "the knob");
	add_fact(&sheet, "creates", number(creates), "BOs asked for");
	add_fact(&sheet, "off", number(tally->off),
		 "of these, while the cache was off");
	add_fact(&sheet, "hits", number(counts_hits(&tally->all)),
		 "of the creates, served by the cache");
	add_fact(&sheet, "expired", number(tally->expired),
		 "dropped because of their age");
	add_fact(&sheet, "purged", number(tally->purged),
		 "dropped for another reason");
	return sheet;
}

/*
 * Counts
 */

static void add_count_columns(const struct report *report,
			      const struct sheet *sheet)
{
	const struct options *opts = report->opts;

	table_column(sheet->table, "CREATES", COLUMN_NUMBER, opts);
	table_column(sheet->table, "HIT%", COLUMN_RIGHT, opts);
	table_column(sheet->table, "RESOURCE", COLUMN_NUMBER, opts);
	table_column(sheet->table, "PAGES", COLUMN_NUMBER, opts);
	table_column(sheet->table, "MISSES", COLUMN_NUMBER, opts);
	for (int i = 0; i < MISSES; i++)
		table_column(sheet->table, miss_columns[i], COLUMN_NUMBER,
			     opts);
}

static void add_counts(struct libscols_line *line, size_t cell,
		       const struct counts *counts)
{
	uint64_t hits = counts_hits(counts), misses = counts_misses(counts);

	table_cell(line, cell++, number(counts->creates));
	table_cell(line, cell++, percent_format(hits, hits + misses));
	table_cell(line, cell++, number(counts->hits[TIER_RESOURCE]));
	table_cell(line, cell++, number(counts->hits[TIER_PAGES]));
	table_cell(line, cell++, number(misses));
	for (int i = 0; i < MISSES; i++)
		table_cell(line, cell++, number(counts->misses[i]));
}

static void counts_sum(struct counts *sum, const struct counts *counts)
{
	sum->creates += counts->creates;
	for (int i = 0; i < TIERS; i++)
		sum->hits[i] += counts->hits[i];
	for (int i = 0; i < MISSES; i++)
		sum->misses[i] += counts->misses[i];
}

/* JSON has all of them, for people the many last are one line */
static struct sheet processes(const struct report *report)
{
	const struct tally *tally = report->tally;
	struct sheet sheet = new_sheet(report, "processes", "By process");
	size_t shown = report->opts->json || tally->n <= PROCESSES_SHOWN ?
		       tally->n : PROCESSES_SHOWN;
	const struct process *process;
	struct counts others = { 0 };
	struct libscols_line *line;

	table_column(sheet.table, "PID", COLUMN_NUMBER, report->opts);
	table_column(sheet.table, "PROGRAM", COLUMN_TEXT, report->opts);
	add_count_columns(report, &sheet);
	for (size_t i = 0; i < tally->n; i++) {
		process = &tally->processes[i];
		if (i >= shown) {
			counts_sum(&others, &process->counts);
			continue;
		}
		line = table_line(sheet.table, NULL);
		table_cell(line, 0, number(process->tgid));
		table_cell(line, 1, copy(process->name));
		add_counts(line, 2, &process->counts);
	}
	if (shown < tally->n) {
		line = table_line(sheet.table, NULL);
		table_cell(line, 1, format("(%zu more)", tally->n - shown));
		add_counts(line, 2, &others);
	}
	return sheet;
}

static struct sheet sizes(const struct report *report)
{
	struct sheet sheet = new_sheet(report, "buckets",
				       "By size, from so many bytes on");
	const struct counts *counts;
	struct libscols_line *line;

	table_column(sheet.table, "FROM", COLUMN_QUANTITY, report->opts);
	add_count_columns(report, &sheet);
	for (unsigned int bucket = 0; bucket < BUCKETS; bucket++) {
		counts = &report->tally->buckets[bucket];
		if (!counts->creates && !counts_hits(counts) &&
		    !counts_misses(counts))
			continue;
		line = table_line(sheet.table, NULL);
		table_cell(line, 0, unit_format(UNIT_BYTES, bucket_from(bucket),
						report->opts->bytes));
		add_counts(line, 1, counts);
	}
	return sheet;
}

/*
 * Times
 */

static struct sheet ages(const struct report *report)
{
	struct sheet sheet = new_sheet(report, "ages",
				       "Hits by how long ago it was freed");
	struct libscols_line *line;
	uint64_t n[TIERS], sum;

	table_column(sheet.table, "AGE", COLUMN_QUANTITY, report->opts);
	for (int tier = TIER_RESOURCE; tier < TIERS; tier++)
		table_column(sheet.table, tier_columns[tier], COLUMN_NUMBER,
			     report->opts);
	for (unsigned int i = 0; i < OCTAVES; i++) {
		sum = 0;
		for (int tier = TIER_RESOURCE; tier < TIERS; tier++) {
			n[tier] = histogram_octave(&report->tally->ages[tier],
						   i);
			sum += n[tier];
		}
		if (!sum)
			continue;
		line = table_line(sheet.table, NULL);
		table_cell(line, 0, unit_format(UNIT_MS, octave_from(i),
						report->opts->bytes));
		for (int tier = TIER_RESOURCE; tier < TIERS; tier++)
			table_cell(line, tier, number(n[tier]));
	}
	return sheet;
}

static struct sheet times(const struct report *report)
{
	struct sheet sheet = new_sheet(report, "latency",
				       "Creates by where the BO came from, microseconds");
	static const char *const columns[] = {
		"CREATES", "MEAN", "MEDIAN", "P90", "P99", "MAX"
	};
	const struct histogram *took;
	struct libscols_line *line;

	table_column(sheet.table, "FROM", COLUMN_TEXT, report->opts);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		table_column(sheet.table, columns[i], COLUMN_NUMBER,
			     report->opts);
	for (int tier = TIER_NONE; tier <= TIER_PAGES; tier++) {
		took = &report->tally->took[tier];
		line = table_line(sheet.table, NULL);
		table_cell(line, 0, copy(tier_names[tier]));
		table_cell(line, 1, number(took->n));
		table_cell(line, 2, number(histogram_mean(took)));
		table_cell(line, 3, number(histogram_quantile(took, 0.5)));
		table_cell(line, 4, number(histogram_quantile(took, 0.9)));
		table_cell(line, 5, number(histogram_quantile(took, 0.99)));
		table_cell(line, 6, number(took->max));
	}
	return sheet;
}

static struct sheet held(const struct report *report)
{
	struct sheet sheet = new_sheet(report, "held",
				       "The most bytes held, by time");
	struct series series[TIERS];
	struct libscols_line *line;
	const struct series *any = &series[TIER_RESOURCE];

	memcpy(series, report->tally->held, sizeof(series));
	table_column(sheet.table, "TIME", COLUMN_QUANTITY, report->opts);
	for (int tier = TIER_RESOURCE; tier < TIERS; tier++) {
		if (!report->opts->json)
			series_shorten(&series[tier], TIMES_SHOWN);
		table_column(sheet.table, tier_columns[tier], COLUMN_QUANTITY,
			     report->opts);
	}
	for (size_t i = 0; i < any->n; i++) {
		line = table_line(sheet.table, NULL);
		table_cell(line, 0, unit_format(UNIT_MS,
						i * any->width / 1000000,
						report->opts->bytes));
		for (int tier = TIER_RESOURCE; tier < TIERS; tier++)
			table_cell(line, tier,
				   unit_format(UNIT_BYTES, series[tier].most[i],
					       report->opts->bytes));
	}
	return sheet;
}

/*
 * The command
 */

static void on_event(const struct trace_event *event, void *arg)
{
	tally_event(arg, event);
}

static enum status show(const struct options *opts, const struct tally *tally,
			const char *path)
{
	const struct report report = { opts, tally };
	const struct sheet sheets[SHEETS] = {
		[SUMMARY] = summary(&report),
		[PROCESSES] = processes(&report),
		[SIZES] = sizes(&report),
		[AGES] = ages(&report),
		[TIMES] = times(&report),
		[HELD] = held(&report),
	};
	enum status status;

	if (!opts->html)
		return sheets_end(sheets, SHEETS, opts);
	/* Where the page has a plot it needs no table */
	status = page_write(opts->html, path, tally, sheets, HELD);
	for (size_t i = 0; i < SHEETS; i++)
		scols_unref_table(sheets[i].table);
	return status;
}

static enum status report_apart(const struct options *opts, int argc,
				char **argv)
{
	struct tally *tally = checked(calloc(1, sizeof(*tally)));
	enum status status;
	int dev;

	(void)argc;
	status = trace_device(opts->device, &dev);
	if (!status)
		status = trace_read(argv[0], dev, on_event, tally);
	if (!status) {
		tally_end(tally);
		status = show(opts, tally, argv[0]);
	}
	tally_free(tally);
	free(tally);
	return status;
}

enum status cmd_report(const struct options *opts, int argc, char **argv)
{
	return trace_apart(report_apart, opts, argc, argv);
}
