/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizes and times as people write and read them. */
#ifndef UNITS_H
#define UNITS_H

#include <stdbool.h>
#include <stdint.h>

enum unit {
	UNIT_NONE, UNIT_SWITCH, UNIT_BYTES,
	UNIT_MS,
	UNIT_INTERVAL,			/* the same, but without a unit seconds */
};

/*
 * Text to number: of bytes ("64M", "1.5GiB"), milliseconds ("2s", "250ms") or 0
 * and 1 ("on", "off").  Returns NULL, or what is wrong with the text.
 */
const char *unit_parse(enum unit unit, const char *text, uint64_t *value);

/* The number for people, or if PLAIN for programs; the caller frees it */
char *unit_format(enum unit unit, uint64_t value, bool plain);

/* How many of the whole: "50%"; NULL if there is no whole */
char *percent_format(uint64_t part, uint64_t whole);

/* A plain number, and nothing else but a newline */
bool number_parse(const char *text, uint64_t *value);

#endif
