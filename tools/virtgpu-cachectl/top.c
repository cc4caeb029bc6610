// SPDX-License-Identifier: GPL-2.0-or-later
/* "top": what happens, on a terminal, until q is pressed. */

#include <curses.h>
#include <inttypes.h>
#include <langinfo.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients.h"
#include "device.h"
#include "samples.h"
#include "table.h"

/* More columns than a terminal has are not drawn */
#define HISTORY 1024
#define INDENT 2
#define GRAPH_LEFT (INDENT + 18)

/**
 * struct history - what a device held at the last times it was looked at
 * @device: its name
 * @bytes: in a ring
 * @n: how many there were, ever
 * @seen: the device is there now
 */
struct history {
	char *device;
	uint64_t bytes[HISTORY];
	size_t n;
	bool seen;
};

struct top {
	const char *only;		/* this device, or NULL */
	struct samples samples;
	struct history *histories;
	size_t n;
	int row;
};

enum { PLAIN, HEADING, GRAPH, WARNING };

static volatile sig_atomic_t ended;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

/*
 * History
 */

static struct history *find_history(struct top *top, const char *device)
{
	struct history *history;

	for (size_t i = 0; i < top->n; i++)
		if (!strcmp(top->histories[i].device, device))
			return &top->histories[i];
	top->histories = grown(top->histories, top->n, sizeof(*history));
	history = &top->histories[top->n++];
	memset(history, 0, sizeof(*history));
	history->device = checked(strdup(device));
	return history;
}

static void remember(struct top *top)
{
	const struct devices *now = &top->samples.now;
	struct history *history;
	size_t kept = 0;

	for (size_t i = 0; i < top->n; i++)
		top->histories[i].seen = false;
	for (size_t i = 0; i < now->n; i++) {
		history = find_history(top, now->v[i].name);
		history->bytes[history->n++ % HISTORY] =
			device_held_bytes(&now->v[i]);
		history->seen = true;
	}
	for (size_t i = 0; i < top->n; i++) {
		if (top->histories[i].seen)
			top->histories[kept++] = top->histories[i];
		else
			free(top->histories[i].device);
	}
	top->n = kept;
}

/*
 * Drawing
 */

static void style(int what)
{
	static const chtype attributes[] = {
		[PLAIN] = A_NORMAL, [HEADING] = A_REVERSE,
		[GRAPH] = A_NORMAL, [WARNING] = A_BOLD,
	};

	attrset(attributes[what] |
		(has_colors() && colours() ? COLOR_PAIR(what) : 0));
}

/* TEXT, which is freed, on a line of its own */
static void line(struct top *top, int what, char *text)
{
	if (top->row < LINES) {
		style(what);
		mvaddnstr(top->row, 0, text, COLS);
		clrtoeol();
		style(PLAIN);
	}
	top->row++;
	free(text);
}

/* What was held in both tiers, the latest last, by the most of what is drawn */
static void graph(struct top *top, const struct history *history)
{
	static const char *const blocks[] = {
		" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"
	};
	static const char *const letters[] = {
		" ", ".", ".", ":", ":", "+", "+", "#", "#"
	};
	const char *const *marks = strcmp(nl_langinfo(CODESET), "UTF-8") ?
				   letters : blocks;
	size_t width = COLS > GRAPH_LEFT ? COLS - GRAPH_LEFT : 0, n;
	uint64_t bytes, most = 0;
	char *text;

	if (width > HISTORY)
		width = HISTORY;
	n = history->n < width ? history->n : width;
	for (size_t i = history->n - n; i < history->n; i++)
		if (history->bytes[i % HISTORY] > most)
			most = history->bytes[i % HISTORY];
	text = unit_format(UNIT_BYTES, most, false);
	line(top, PLAIN, format("%*shighest %8s", INDENT, "", text));
	free(text);
	if (top->row > LINES)
		return;
	style(GRAPH);
	move(top->row - 1, GRAPH_LEFT);
	for (size_t i = history->n - n; i < history->n; i++) {
		bytes = history->bytes[i % HISTORY];
		addstr(marks[bytes ? 1 + (int)(7.0 * bytes / most) : 0]);
	}
	style(PLAIN);
}

static double rate(const struct top *top, const struct device *device,
		   const char *attr)
{
	return sample_rate(&top->samples, device, attr);
}

static void draw_tier(struct top *top, const struct device *device,
		      const char *tier)
{
	char *bos = format("held_%s_bos", tier);
	char *bytes = format("held_%s_bytes", tier);
	char *hits = format("hits_%s", tier);
	char *size = unit_format(UNIT_BYTES, device_value(device, bytes),
				 false);

	line(top, PLAIN,
	     format("%*s%-9s %8" PRIu64 " %8s %8.1f", INDENT, "", tier,
		    device_value(device, bos), size,
		    rate(top, device, hits)));
	free(bos);
	free(bytes);
	free(hits);
	free(size);
}

static void draw_flow(struct top *top, const struct device *device)
{
	char *release = unit_format(UNIT_BYTES,
				    device_value(device, "release_bytes"),
				    false);

	line(top, PLAIN,
	     format("%*s%-9s %8" PRIu64 " %8s", INDENT, "", "release",
		    device_value(device, "release_bos"), release));
	line(top, PLAIN,
	     format("%*sper second: %.1f put, %.1f missed, %.1f expired, %.1f purged, %.1f rejected",
		    INDENT, "", rate(top, device, "puts"),
		    rate(top, device, "misses"), rate(top, device, "expired"),
		    rate(top, device, "purged"),
		    rate(top, device, "rejected")));
	free(release);
}

static void draw_device(struct top *top, const struct device *device)
{
	char *timeout, *limit;

	if (!device->cached) {
		line(top, WARNING, format("%s  the driver has no cache",
					  device->name));
		return;
	}
	timeout = unit_format(UNIT_MS, device_value(device, "timeout_ms"),
			      false);
	limit = unit_format(UNIT_BYTES, device_value(device, "max_bytes"),
			    false);
	line(top, device_on(device) ? PLAIN : WARNING,
	     format("%s  %s  %s  cache %s, timeout %s, limit %s", device->name,
		    device->card ? device->card : "-",
		    device->parent ? device->parent : "-",
		    device_on(device) ? "on" : "off", timeout, limit));
	free(timeout);
	free(limit);
	line(top, PLAIN, format("%*s%-9s %8s %8s %8s", INDENT, "", "tier", "BOs",
				"size", "hits/s"));
	draw_tier(top, device, "resource");
	draw_tier(top, device, "pages");
	draw_tier(top, device, "purgeable");
	draw_flow(top, device);
	graph(top, find_history(top, device->name));
}

static void add_client(struct libscols_table *table,
		       const struct client *client)
{
	const uint64_t sizes[] = {
		client->usage.total, client->usage.resident,
		client->usage.purgeable, client->usage.cached,
	};
	struct libscols_line *line = table_line(table, NULL);

	table_cell(line, 0, format("%ld", (long)client->pid));
	table_cell(line, 1, checked(strdup(client->device)));
	table_cell(line, 2, format("%" PRIu64, client->usage.id));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		table_cell(line, 3 + i,
			   unit_format(UNIT_BYTES, sizes[i], false));
	table_cell(line, 7, checked(strdup(client->name)));
}

static char *clients_text(const struct clients *clients, const char *only)
{
	static const char *const columns[] = {
		"PID", "DEVICE", "CLIENT", "OPEN", "RESIDENT", "PURGEABLE",
		"CACHED", "COMMAND"
	};
	const struct options plain = { 0 };
	struct libscols_table *table = table_new("clients", &plain);

	/* What is too wide is cut off, not wrapped */
	scols_table_enable_colors(table, 0);
	scols_table_enable_nowrap(table, 1);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		table_column(table, columns[i], i == 1 || i == 7 ?
			     COLUMN_TEXT : COLUMN_RIGHT, &plain);
	for (size_t i = 0; i < clients->n; i++)
		if (!only || !strcmp(only, clients->v[i].device))
			add_client(table, &clients->v[i]);
	return table_end_text(table);
}

static void draw_clients(struct top *top)
{
	char *text, *rest, *one;
	struct clients clients;
	int what = HEADING;

	clients_find(&clients, &top->samples.now);
	top->row++;
	if (!clients.n) {
		line(top, PLAIN, checked(strdup(geteuid() ?
		     "no client seen; root sees those of others" :
		     "no client seen; before Linux 6.12 the kernel doesn't tell")));
	} else {
		text = rest = clients_text(&clients, top->only);
		while ((one = strsep(&rest, "\n")) && *one) {
			line(top, what, format("%-*s", COLS, one));
			what = PLAIN;
		}
		free(text);
	}
	clients_free(&clients);
}

static void draw(struct top *top)
{
	const struct devices *now = &top->samples.now;
	size_t shown = 0;

	erase();
	top->row = 0;
	line(top, HEADING, format("%-*s", COLS,
				  "virtgpu-cachectl top      q: quit"));
	for (size_t i = 0; i < now->n; i++) {
		if (top->only && strcmp(top->only, now->v[i].name))
			continue;
		draw_device(top, &now->v[i]);
		shown++;
	}
	if (!shown)
		line(top, WARNING, checked(strdup("the device is gone; waiting for it to come back")));
	draw_clients(top);
	refresh();
}

static void screen_begin(void)
{
	initscr();
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	if (!has_colors() || !colours())
		return;
	start_color();
	use_default_colors();
	init_pair(HEADING, -1, -1);
	init_pair(GRAPH, COLOR_GREEN, -1);
	init_pair(WARNING, COLOR_RED, -1);
}

static void watch(struct top *top, struct timespec interval)
{
	int key;

	screen_begin();
	samples_take(&top->samples);
	timeout(interval.tv_sec * 1000 + interval.tv_nsec / 1000000);
	while (!ended) {
		samples_take(&top->samples);
		remember(top);
		draw(top);
		key = getch();
		/* ERR is the end of the interval, or of the terminal */
		if (key == 'q' || key == 'Q' ||
		    (key == ERR && !isatty(STDIN_FILENO)))
			break;
	}
	endwin();
}

enum status cmd_top(const struct options *opts, int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = end };
	struct timespec interval = { .tv_sec = 1 };
	struct top top = { 0 };
	struct devices devices;
	enum status status;

	if (argc && !interval_parse(argv[0], &interval))
		return USAGE;
	status = devices_choose(&devices, opts->device, false);
	if (status)
		return status;
	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)) {
		complain("top: standard input and output are no terminal");
		advise("'virtgpu-cachectl stat 1' prints lines instead");
		devices_free(&devices);
		return FAILED;
	}
	if (opts->device)
		top.only = devices.v[0].name;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	watch(&top, interval);
	samples_free(&top.samples);
	while (top.n)
		free(top.histories[--top.n].device);
	free(top.histories);
	devices_free(&devices);
	return DONE;
}
