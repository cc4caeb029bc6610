// SPDX-License-Identifier: GPL-2.0-or-later
/* A page of plots, drawn as SVG in the page itself, and tables. */

#include "page.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "output.h"

#define WIDTH 720
#define HEIGHT 260
#define LEFT 70
#define RIGHT 20
#define TOP 20
#define BOTTOM 40
#define RULES 4				/* horizontal lines */
#define MARKS 8				/* on the other axis, at most */

static const char style[] =
	"body { font: 15px/1.4 sans-serif; max-width: 75em; margin: 2em auto;"
	" padding: 0 1em; color: #222; background: #fff }\n"
	"h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }\n"
	"table { border-collapse: collapse; font-size: 0.87em;"
	" display: block; overflow-x: auto; white-space: nowrap }\n"
	"th, td { padding: 0.15em 0.8em; border-bottom: 1px solid #ddd;"
	" text-align: left }\n"
	".right { text-align: right; font-variant-numeric: tabular-nums }\n"
	"svg { display: block; max-width: 100%; height: auto }\n"
	"svg text { font: 12px sans-serif; fill: #444 }\n"
	"svg line { stroke: #ddd } svg polyline { fill: none;"
	" stroke-width: 2 }\n"
	".a { fill: #2a6fbb; stroke: #2a6fbb } .b { fill: #e08a1e;"
	" stroke: #e08a1e }\n"
	".c { fill: #3a9a5b; stroke: #3a9a5b } .bar { stroke: none }\n";

/**
 * struct curve - what is drawn in a colour of its own
 * @name: in the legend
 * @class: of the style
 */
struct curve {
	const char *name;
	const char *class;
};

static const struct curve tier_curves[TIERS] = {
	[TIER_NONE] = { "new", "c" },
	[TIER_RESOURCE] = { "resource tier", "a" },
	[TIER_PAGES] = { "pages tier", "b" },
	[TIER_PURGEABLE] = { "purgeable", "c" },
};

/**
 * struct plot - one of them
 * @file: what it is written to
 * @most: the value at the top
 * @n: how many steps there are from left to right
 */
struct plot {
	FILE *file;
	double most;
	size_t n;
};

/* What MOST becomes, so that each rule has a short number */
static double round_most(double most)
{
	double unit = 1;

	while (unit * 2 * RULES <= most)
		unit *= 2;
	return ceil(most / (unit * RULES)) * unit * RULES;
}

static double plot_x(const struct plot *plot, double i)
{
	return LEFT + i * (WIDTH - LEFT - RIGHT) / (plot->n ? plot->n : 1);
}

static double plot_y(const struct plot *plot, double value)
{
	return HEIGHT - BOTTOM - value / (plot->most > 0 ? plot->most : 1) *
	       (HEIGHT - TOP - BOTTOM);
}

static void text_at(const struct plot *plot, double x, double y,
		    const char *anchor, const char *text)
{
	fprintf(plot->file,
		"<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y,
		anchor);
	html_text(plot->file, text);
	fputs("</text>\n", plot->file);
}

static void plot_begin(const struct plot *plot, const char *title,
		       enum unit unit)
{
	double value, y;
	char *text;

	fputs("<h2>", plot->file);
	html_text(plot->file, title);
	fprintf(plot->file, "</h2>\n<svg viewBox=\"0 0 %d %d\" width=\"%d\" "
		"height=\"%d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT,
		WIDTH, HEIGHT);
	html_text(plot->file, title);
	fputs("\">\n", plot->file);
	for (int i = 0; i <= RULES; i++) {
		value = plot->most * i / RULES;
		y = plot_y(plot, value);
		fprintf(plot->file, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" "
			"y2=\"%.1f\"/>\n", LEFT, WIDTH - RIGHT, y, y);
		text = unit_format(unit, value, false);
		text_at(plot, LEFT - 6, y + 4, "end", text);
		free(text);
	}
}

/* What stands below the step I */
static void plot_mark(const struct plot *plot, double i, enum unit unit,
		      uint64_t value, const char *after)
{
	char *number = unit_format(unit, value, false);
	char *text = format("%s%s", number, after);

	text_at(plot, plot_x(plot, i), HEIGHT - BOTTOM + 16, "middle", text);
	free(number);
	free(text);
}

static void plot_end(const struct plot *plot, const struct curve *curves,
		     size_t from, size_t to, const char *below)
{
	double x = LEFT;

	for (size_t i = from; i < to; i++) {
		fprintf(plot->file, "<rect class=\"bar %s\" x=\"%.0f\" y=\"%d\" "
			"width=\"10\" height=\"10\"/>\n", curves[i].class, x,
			HEIGHT - 14);
		text_at(plot, x + 14, HEIGHT - 5, "start", curves[i].name);
		x += 120;
	}
	text_at(plot, WIDTH - RIGHT, HEIGHT - 5, "end", below);
	fputs("</svg>\n", plot->file);
}

static void plot_bar(const struct plot *plot, const char *class, double i,
		     double width, double from, double to, const char *what)
{
	double x = plot_x(plot, i), y = plot_y(plot, to);

	if (to <= from)
		return;
	fprintf(plot->file, "<rect class=\"bar %s\" x=\"%.1f\" y=\"%.1f\" "
		"width=\"%.2f\" height=\"%.1f\"><title>", class, x, y,
		plot_x(plot, i + width) - x, plot_y(plot, from) - y);
	html_text(plot->file, what);
	fputs("</title></rect>\n", plot->file);
}

/* How many steps apart marks are */
static size_t marks_apart(size_t n)
{
	return n / MARKS + 1;
}

static void plot_held(FILE *file, const struct tally *tally)
{
	const struct series *resource = &tally->held[TIER_RESOURCE];
	const struct series *pages = &tally->held[TIER_PAGES];
	struct plot plot = { file, 0, resource->n };
	uint64_t below, above;
	char *what;

	for (size_t i = 0; i < plot.n; i++)
		if (plot.most < (double)resource->most[i] + pages->most[i])
			plot.most = (double)resource->most[i] + pages->most[i];
	plot.most = round_most(plot.most);
	plot_begin(&plot, "Bytes held", UNIT_BYTES);
	for (size_t i = 0; i < plot.n; i++) {
		below = resource->most[i];
		above = pages->most[i];
		what = unit_format(UNIT_BYTES, below, false);
		plot_bar(&plot, "a", i, 1, 0, below, what);
		free(what);
		what = unit_format(UNIT_BYTES, above, false);
		plot_bar(&plot, "b", i, 1, below, (double)below + above, what);
		free(what);
		if (i % marks_apart(plot.n) == 0)
			plot_mark(&plot, i, UNIT_MS,
				  i * resource->width / 1000000, "");
	}
	plot_end(&plot, tier_curves, TIER_RESOURCE, TIER_PURGEABLE,
		 "since the first event");
}

static void plot_ages(FILE *file, const struct tally *tally)
{
	struct plot plot = { file, 0, 0 };
	uint64_t n;
	char *what;

	for (unsigned int i = 0; i < OCTAVES; i++) {
		for (int tier = TIER_RESOURCE; tier <= TIER_PAGES; tier++) {
			n = histogram_octave(&tally->ages[tier], i);
			if (plot.most < n)
				plot.most = n;
			if (n)
				plot.n = i + 1;
		}
	}
	plot.most = round_most(plot.most);
	plot_begin(&plot, "Hits by age", UNIT_NONE);
	for (unsigned int i = 0; i < plot.n; i++) {
		for (int tier = TIER_RESOURCE; tier <= TIER_PAGES; tier++) {
			n = histogram_octave(&tally->ages[tier], i);
			what = format("%" PRIu64, n);
			plot_bar(&plot, tier_curves[tier].class,
				 i + 0.1 + 0.4 * (tier - TIER_RESOURCE), 0.4, 0,
				 n, what);
			free(what);
		}
		plot_mark(&plot, i + 0.5, UNIT_MS, octave_from(i), "+");
	}
	plot_end(&plot, tier_curves, TIER_RESOURCE, TIER_PURGEABLE,
		 "since it was freed");
}

/* The classes that have something, over all of them */
static void classes_used(const struct tally *tally, unsigned int *from,
			 unsigned int *to)
{
	*from = CLASSES;
	*to = 0;
	for (int tier = TIER_NONE; tier <= TIER_PAGES; tier++)
		for (unsigned int i = 0; i < CLASSES; i++) {
			if (!tally->took[tier].count[i])
				continue;
			*from = i < *from ? i : *from;
			*to = i + 1 > *to ? i + 1 : *to;
		}
}

static void plot_times(FILE *file, const struct tally *tally)
{
	struct plot plot = { file, 100, 0 };
	unsigned int from, to;
	uint64_t below;

	classes_used(tally, &from, &to);
	plot.n = to > from ? to - from : 0;
	plot_begin(&plot, "Creates done, percent, by the time they take",
		   UNIT_NONE);
	for (int tier = TIER_NONE; tier <= TIER_PAGES; tier++) {
		if (!tally->took[tier].n)
			continue;
		below = 0;
		fprintf(file, "<polyline class=\"%s\" style=\"fill: none\" "
			"points=\"%.1f,%.1f", tier_curves[tier].class,
			plot_x(&plot, 0), plot_y(&plot, 0));
		for (unsigned int i = from; i < to; i++) {
			below += tally->took[tier].count[i];
			fprintf(file, " %.1f,%.1f",
				plot_x(&plot, i + 1 - from),
				plot_y(&plot, 100.0 * below /
					      tally->took[tier].n));
		}
		fputs("\"/>\n", file);
	}
	for (unsigned int i = 0; i < plot.n; i += marks_apart(plot.n))
		plot_mark(&plot, i, UNIT_NONE, class_from(from + i), " µs");
	plot_end(&plot, tier_curves, TIER_NONE, TIER_PURGEABLE,
		 "since they were asked for");
}

static void plot_misses(FILE *file, const struct tally *tally)
{
	static const char *const causes[MISSES] = {
		"empty", "size", "other cgroup", "other owner",
		"other identity", "busy", "back-off"
	};
	struct plot plot = { file, 0, MISSES };
	uint64_t n;
	char *what;

	for (int i = 0; i < MISSES; i++)
		if (plot.most < tally->all.misses[i])
			plot.most = tally->all.misses[i];
	plot.most = round_most(plot.most);
	plot_begin(&plot, "Misses by cause", UNIT_NONE);
	for (int i = 0; i < MISSES; i++) {
		n = tally->all.misses[i];
		what = format("%" PRIu64, n);
		plot_bar(&plot, "a", i + 0.2, 0.6, 0, n, what);
		text_at(&plot, plot_x(&plot, i + 0.5), HEIGHT - BOTTOM + 16,
			"middle", causes[i]);
		free(what);
	}
	plot_end(&plot, NULL, 0, 0, "what kept the nearest from being a hit");
}

static void write_page(FILE *file, const char *name, const struct tally *tally,
		       const struct sheet *sheets, size_t n)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width\">\n"
	      "<link rel=\"icon\" href=\"data:,\">\n<title>", file);
	html_text(file, name);
	fprintf(file, "</title>\n<style>\n%s</style>\n<h1>The BO cache in ",
		style);
	html_text(file, name);
	fputs("</h1>\n", file);
	html_sheet(file, &sheets[0]);
	plot_held(file, tally);
	plot_ages(file, tally);
	plot_misses(file, tally);
	plot_times(file, tally);
	for (size_t i = 1; i < n; i++)
		html_sheet(file, &sheets[i]);
	fputs("</html>\n", file);
}

enum status page_write(const char *path, const char *name,
		       const struct tally *tally, const struct sheet *sheets,
		       size_t n)
{
	struct output output;
	enum status status = output_open(&output, path);

	if (status)
		return status;
	if (!output_begin(&output)) {
		write_page(output.file, name, tally, sheets, n);
		output.is_whole = true;
	}
	return output_close(&output);
}
