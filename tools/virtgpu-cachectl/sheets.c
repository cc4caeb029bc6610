// SPDX-License-Identifier: GPL-2.0-or-later
/* Several tables that belong together. */

#include "sheets.h"

#include <stdlib.h>
#include <string.h>

/*
 * libsmartcols prints each table as an object of its own, with its name as the
 * only key: what is between the outer braces is a part of ours.  Of an empty
 * table some of its versions print nothing.
 */
static void print_member(struct libscols_table *table, bool last)
{
	char *empty = format("\"%s\": []", scols_table_get_name(table));
	char *text = table_end_text(table);
	char *from = text ? strchr(text, '{') : NULL;
	char *to = text ? strrchr(text, '}') : NULL;

	if (from && to > from) {
		from += 1 + (from[1] == '\n');
		while (to > from && to[-1] == '\n')
			to--;
		printf("%.*s", (int)(to - from), from);
	} else {
		printf("   %s", empty);
	}
	puts(last ? "" : ",");
	free(text);
	free(empty);
}

enum status sheets_end(const struct sheet *sheets, size_t n,
		       const struct options *opts)
{
	enum status status = DONE, printed;

	if (opts->json)
		puts("{");
	for (size_t i = 0; i < n; i++) {
		if (opts->json) {
			print_member(sheets[i].table, i == n - 1);
			continue;
		}
		if (!opts->noheadings)
			printf("%s%s\n", i ? "\n" : "", sheets[i].title);
		fflush(stdout);
		printed = table_end(sheets[i].table);
		status = status ? status : printed;
	}
	if (opts->json)
		puts("}");
	return status;
}

void html_text(FILE *file, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '<':
			fputs("&lt;", file);
			break;
		case '>':
			fputs("&gt;", file);
			break;
		case '&':
			fputs("&amp;", file);
			break;
		case '"':
			fputs("&quot;", file);
			break;
		default:
			/* Names of tasks may be anything */
			if ((unsigned char)*text >= ' ')
				fputc(*text, file);
		}
}

static void html_cell(FILE *file, const char *tag,
		      struct libscols_column *column, const char *text)
{
	fprintf(file, "<%s%s>", tag, scols_column_is_right(column) ?
		" class=\"right\"" : "");
	html_text(file, text ? text : "");
	fprintf(file, "</%s>", tag);
}

static void html_line(FILE *file, struct libscols_table *table,
		      struct libscols_line *line)
{
	struct libscols_iter *iter = checked(scols_new_iter(SCOLS_ITER_FORWARD));
	struct libscols_column *column;

	fputs("<tr>", file);
	while (!scols_table_next_column(table, iter, &column))
		html_cell(file, line ? "td" : "th", column, line ?
			  scols_line_get_column_data(line, column) :
			  scols_cell_get_data(scols_column_get_header(column)));
	fputs("</tr>\n", file);
	scols_free_iter(iter);
}

void html_sheet(FILE *file, const struct sheet *sheet)
{
	struct libscols_iter *iter = checked(scols_new_iter(SCOLS_ITER_FORWARD));
	struct libscols_line *line;

	fputs("<h2>", file);
	html_text(file, sheet->title);
	fputs("</h2>\n<table>\n", file);
	html_line(file, sheet->table, NULL);
	while (!scols_table_next_line(sheet->table, iter, &line))
		html_line(file, sheet->table, line);
	fputs("</table>\n", file);
	scols_free_iter(iter);
}
