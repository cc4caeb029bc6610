// SPDX-License-Identifier: GPL-2.0-or-later
/* Writes a trace.dat. */

#include "datfile.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char magic[] = "\x17\x08\x44tracing" "6";
static const char options[] = "options  ";
static const char flyrecord[] = "flyrecord";

struct writer {
	FILE *file;
	const char *tracing;
	int error;
};

static void put(struct writer *writer, const void *data, size_t size)
{
	if (fwrite(data, 1, size, writer->file) != size && !writer->error)
		writer->error = errno;
}

static void put_number(struct writer *writer, uint64_t value, size_t size)
{
	/* The file is in the byte order of the machine, which it names */
	uint8_t u8 = value;
	uint16_t u16 = value;
	uint32_t u32 = value;

	put(writer, size == 1 ? (void *)&u8 : size == 2 ? (void *)&u16 :
	    size == 4 ? (void *)&u32 : (void *)&value, size);
}

/* Files of tracefs do not say how large they are: it has to be read first */
static char *read_whole(const struct writer *writer, const char *name,
			size_t *size)
{
	char *path = format("%s/%s", writer->tracing, name), *text = NULL;
	FILE *from = fopen(path, "r"), *to = open_memstream(&text, size);
	char part[4096];
	size_t n;

	checked(to);
	while (from && (n = fread(part, 1, sizeof(part), from)))
		fwrite(part, 1, n, to);
	if (from)
		fclose(from);
	if (fclose(to))
		checked(NULL);
	free(path);
	return text;
}

/* With its size before it; a file that is not there is empty */
static void put_file(struct writer *writer, const char *name)
{
	size_t size;
	char *text = read_whole(writer, name, &size);

	put_number(writer, size, 8);
	put(writer, text, size);
	free(text);
}

static int is_event(const struct dirent *entry)
{
	return entry->d_type == DT_DIR && *entry->d_name != '.';
}

static void put_system(struct writer *writer, const char *system)
{
	char *path = format("%s/events/%s", writer->tracing, system);
	struct dirent **events;
	int n = scandir(path, &events, is_event, alphasort);

	if (n < 0) {
		writer->error = errno;
		n = 0;
	}
	free(path);
	put_number(writer, 1, 4);
	put(writer, system, strlen(system) + 1);
	put_number(writer, n, 4);
	for (int i = 0; i < n; i++) {
		path = format("events/%s/%s/format", system,
			      events[i]->d_name);
		put_file(writer, path);
		free(path);
		free(events[i]);
	}
	if (n)
		free(events);
}

static void put_head(struct writer *writer, const char *system)
{
	const uint16_t probe = 1;

	put(writer, magic, sizeof(magic));
	put_number(writer, *(const uint8_t *)&probe ? 0 : 1, 1);
	put_number(writer, sizeof(long), 1);
	put_number(writer, sysconf(_SC_PAGESIZE), 4);
	put(writer, "header_page", sizeof("header_page"));
	put_file(writer, "events/header_page");
	put(writer, "header_event", sizeof("header_event"));
	put_file(writer, "events/header_event");
	/* No events of ftrace's own */
	put_number(writer, 0, 4);
	put_system(writer, system);
	/* Neither kernel symbols nor formats of trace_printk() */
	put_number(writer, 0, 4);
	put_number(writer, 0, 4);
	put_file(writer, "saved_cmdlines");
}

static uint64_t pages_size(FILE *pages)
{
	off_t size = fseeko(pages, 0, SEEK_END) ? 0 : ftello(pages);

	return size > 0 ? size : 0;
}

static uint64_t round_up(uint64_t offset)
{
	uint64_t page = sysconf(_SC_PAGESIZE);

	return (offset + page - 1) / page * page;
}

/* Where the pages of each processor will be, from OFFSET on */
static void put_table(struct writer *writer, FILE *const *pages,
		      unsigned int cpus)
{
	uint64_t offset, size;

	put_number(writer, cpus, 4);
	put(writer, options, sizeof(options));
	put_number(writer, 0, 2);
	put(writer, flyrecord, sizeof(flyrecord));
	offset = ftello(writer->file) + (uint64_t)cpus * 16;
	for (unsigned int cpu = 0; cpu < cpus; cpu++) {
		offset = round_up(offset);
		size = pages_size(pages[cpu]);
		put_number(writer, offset, 8);
		put_number(writer, size, 8);
		offset += size;
	}
}

static void put_pages(struct writer *writer, FILE *pages)
{
	uint64_t here = ftello(writer->file);
	char part[4096];
	size_t n;

	/* What is skipped is full of zeroes */
	if (fseeko(writer->file, round_up(here), SEEK_SET))
		writer->error = errno;
	rewind(pages);
	while ((n = fread(part, 1, sizeof(part), pages)))
		put(writer, part, n);
	if (ferror(pages))
		writer->error = EIO;
}

enum status datfile_write(struct output *output, const char *tracing,
			  const char *system, FILE *const *pages,
			  unsigned int cpus)
{
	struct writer writer = { output->file, tracing, 0 };

	if (output_begin(output))
		return FAILED;
	put_head(&writer, system);
	put_table(&writer, pages, cpus);
	for (unsigned int cpu = 0; cpu < cpus; cpu++)
		put_pages(&writer, pages[cpu]);
	if (fflush(writer.file) && !writer.error)
		writer.error = errno;
	output->is_whole = !writer.error;
	if (!writer.error)
		return DONE;
	complain("%s: cannot be written: %s", output->path,
		 strerror(writer.error));
	return FAILED;
}
