// SPDX-License-Identifier: GPL-2.0-or-later
/* Sizes and times as people write and read them. */

#include "units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cachectl.h"

struct suffix {
	const char *text;
	uint64_t factor;
};

static const struct suffix sizes[] = {
	{ "", 1 }, { "B", 1 },
	{ "K", 1ull << 10 }, { "KiB", 1ull << 10 },
	{ "M", 1ull << 20 }, { "MiB", 1ull << 20 },
	{ "G", 1ull << 30 }, { "GiB", 1ull << 30 },
	{ "T", 1ull << 40 }, { "TiB", 1ull << 40 },
	{ NULL, 0 }
};

static const struct suffix times[] = {
	{ "", 1 }, { "ms", 1 }, { "s", 1000 }, { "min", 60000 },
	{ NULL, 0 }
};

static const struct suffix intervals[] = {
	{ "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "min", 60000 },
	{ NULL, 0 }
};

static const struct suffix none[] = { { "", 1 }, { NULL, 0 } };

static const char *const on[] = { "on", "yes", "true", "1", "y" };
static const char *const off[] = { "off", "no", "false", "0", "n" };

static bool is_one_of(const char *const *words, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (!strcasecmp(words[i], text))
			return true;
	return false;
}

static const struct suffix *find_suffix(const struct suffix *suffixes,
					const char *text)
{
	for (; suffixes->text; suffixes++)
		if (!strcasecmp(suffixes->text, text))
			return suffixes;
	return NULL;
}

/* DIGITS after a point as a part of FACTOR: of "5M", what .5M is */
static uint64_t parse_fraction(const char *digits, uint64_t factor)
{
	unsigned __int128 sum = 0;
	uint64_t scale = 1;

	/* What comes after 18 digits is less than any unit */
	for (; isdigit((unsigned char)*digits) && scale < 1000000000000000000;
	     digits++) {
		sum = sum * 10 + (*digits - '0');
		scale *= 10;
	}
	return sum * factor / scale;
}

static const char *parse_quantity(const struct suffix *suffixes,
				  const char *text, uint64_t *value)
{
	const char *fraction = NULL;
	const struct suffix *suffix;
	uint64_t whole;
	char *end;

	/* strtoull() takes a sign and spaces, too */
	if (!isdigit((unsigned char)*text))
		return "is not a number";
	errno = 0;
	whole = strtoull(text, &end, 10);
	if (errno)
		return "is too large";
	if (*end == '.') {
		fraction = end + 1;
		end += 1 + strspn(fraction, "0123456789");
		if (end == fraction)
			return "is not a number";
	}
	suffix = find_suffix(suffixes, end);
	if (!suffix)
		return "has an unknown unit";
	if (fraction && suffix->factor == 1)
		return "is not a whole number";
	if (__builtin_mul_overflow(whole, suffix->factor, value) ||
	    (fraction &&
	     __builtin_add_overflow(*value,
				    parse_fraction(fraction, suffix->factor),
				    value)))
		return "is too large";
	/* 0 may mean something else than very little */
	if (fraction && !*value && strpbrk(fraction, "123456789"))
		return "is too small";
	return NULL;
}

static const char *parse_switch(const char *text, uint64_t *value)
{
	*value = is_one_of(on, ARRAY_SIZE(on), text);
	if (*value || is_one_of(off, ARRAY_SIZE(off), text))
		return NULL;
	return "is neither on nor off";
}

const char *unit_parse(enum unit unit, const char *text, uint64_t *value)
{
	switch (unit) {
	case UNIT_SWITCH:
		return parse_switch(text, value);
	case UNIT_MS:
		return parse_quantity(times, text, value);
	case UNIT_INTERVAL:
		return parse_quantity(intervals, text, value);
	case UNIT_BYTES:
		return parse_quantity(sizes, text, value);
	default:
		return parse_quantity(none, text, value);
	}
}

/* One decimal, and none if it is 0 */
static char *format_size(uint64_t bytes)
{
	static const char letters[] = "BKMGTPE";
	unsigned int power = 0;
	uint64_t tenths, rest;

	while (power + 1 < sizeof(letters) - 1 && bytes >> 10 * (power + 1))
		power++;
	if (!power)
		return format("%" PRIu64 "B", bytes);
	rest = bytes & ((1ull << 10 * power) - 1);
	/* The bits that a tenth does not see would overflow */
	rest >>= 10 * (power - 1);
	tenths = (bytes >> 10 * power) * 10 + (rest * 10 + 512) / 1024;
	if (tenths >= 10240 && power + 1 < sizeof(letters) - 1) {
		power++;
		tenths = 10;
	}
	if (tenths % 10)
		return format("%" PRIu64 ".%" PRIu64 "%c", tenths / 10,
			      tenths % 10, letters[power]);
	return format("%" PRIu64 "%c", tenths / 10, letters[power]);
}

static char *format_time(uint64_t ms)
{
	char *text;
	size_t len;

	if (ms < 1000)
		return format("%" PRIu64 "ms", ms);
	if (ms % 1000 == 0)
		return format("%" PRIu64 "s", ms / 1000);
	text = format("%" PRIu64 ".%03us", ms / 1000,
		      (unsigned int)(ms % 1000));
	len = strlen(text) - 1;
	while (text[len - 1] == '0')
		len--;
	strcpy(text + len, "s");
	return text;
}

char *unit_format(enum unit unit, uint64_t value, bool plain)
{
	if (!plain && unit == UNIT_BYTES)
		return format_size(value);
	if (!plain && unit == UNIT_MS)
		return format_time(value);
	if (!plain && unit == UNIT_SWITCH)
		return checked(strdup(value ? "on" : "off"));
	return format("%" PRIu64, value);
}

char *percent_format(uint64_t part, uint64_t whole)
{
	if (!whole)
		return NULL;
	return format("%" PRIu64 "%%", (uint64_t)(100.0 * part / whole));
}

bool number_parse(const char *text, uint64_t *value)
{
	unsigned long long number;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || (*end && strcmp(end, "\n")))
		return false;
	*value = number;
	return true;
}
