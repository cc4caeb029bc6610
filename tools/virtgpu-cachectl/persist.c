// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Settings that survive, as udev rules.
 *
 * The driver makes its files in probe, and the kernel tells of the driver's
 * binding after that: the rules are for "bind".  A driver that was bound before
 * udev ran, as from an initramfs, is told of by the "add" that udev asks for
 * when it starts.  "change" is what "udevadm trigger" sends.
 *
 * The rules of one device come after those of all, because its file's name does.
 */

#include "persist.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

#define RULES "/etc/udev/rules.d"
#define ALL "90-virtgpu-cachectl.rules"
#define ONE_BEGIN "91-virtgpu-cachectl-"
#define ONE_END ".rules"

static const char header[] =
	"# Written by virtgpu-cachectl set --persist; reset --persist removes it.\n";

static const char match[] =
	"ACTION==\"add|bind|change\", SUBSYSTEM==\"virtio\", "
	"DRIVER==\"virtio_gpu\", TEST==\"bo_cache\", ";

static char *rules_path(const char *parent)
{
	if (!parent)
		return checked(strdup(RULES "/" ALL));
	return format(RULES "/" ONE_BEGIN "%s" ONE_END, parent);
}

bool persist_possible(const char *parent)
{
	return *parent && parent[strspn(parent, "0123456789"
					"abcdefghijklmnopqrstuvwxyz"
					"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					":._+-")] == '\0';
}

/* The line for a knob up to its value */
static char *rule_begin(const char *parent, const struct attr *attr)
{
	if (!parent)
		return format("%sATTR{bo_cache/%s}=", match, attr->name);
	return format("%sKERNELS==\"%s\", ATTR{bo_cache/%s}=", match, parent,
		      attr->name);
}

/* For each knob one line: the new one, or that in BEFORE, or none */
static void write_rule(FILE *out, const struct attr *attr, const char *before,
		       const struct settings *settings, const char *parent)
{
	char *begin = rule_begin(parent, attr);
	const char *text = NULL, *line;

	for (size_t i = 0; i < settings->n; i++)
		if (settings->v[i].attr == attr)
			text = settings->v[i].text;
	line = strstr(before, begin);
	if (text)
		fprintf(out, "%s\"%s\"\n", begin, text);
	else if (line)
		fprintf(out, "%.*s\n", (int)strcspn(line, "\n"), line);
	free(begin);
}

static enum status cannot(const char *path, const char *what, int error)
{
	complain("%s: cannot be %s: %s", path, what, strerror(error));
	if (status_of(error) == DENIED)
		advise("only root can, where the file system can be written");
	else if (error == ENOENT)
		advise("the folder must exist; it comes with udev");
	/* A lack of the folder is no lack of a device */
	return status_of(error) == DENIED ? DENIED : FAILED;
}

enum status persist_add(const struct settings *settings, const char *parent)
{
	char *path = rules_path(parent), *before, *text = NULL;
	enum status status = DONE;
	size_t size = 0;
	FILE *out;
	int error;

	error = file_read(path, &before);
	if (error && error != ENOENT) {
		status = cannot(path, "read", error);
		goto out_free;
	}
	out = checked(open_memstream(&text, &size));
	fputs(header, out);
	for (size_t i = 0; i < ATTRS; i++)
		if (attrs[i].kind == KNOB)
			write_rule(out, &attrs[i], before ? before : "",
				   settings, parent);
	checked(fclose(out) ? NULL : text);
	error = file_replace(path, text);
	if (error)
		status = cannot(path, "written", error);
out_free:
	free(text);
	free(before);
	free(path);
	return status;
}

static enum status remove_file(const char *path)
{
	int error = file_remove(path);

	return error && error != ENOENT ? cannot(path, "removed", error) : DONE;
}

static bool is_ours(const char *name)
{
	size_t len = strlen(name), end = strlen(ONE_END);

	return !strcmp(name, ALL) ||
	       (!strncmp(name, ONE_BEGIN, strlen(ONE_BEGIN)) && len > end &&
		!strcmp(name + len - end, ONE_END));
}

static enum status remove_all(void)
{
	enum status status = DONE, removed;
	struct dirent *entry;
	DIR *dir = dir_open(RULES);
	char *path;

	if (!dir)
		return errno == ENOENT ? DONE : cannot(RULES, "read", errno);
	while ((entry = readdir(dir))) {
		if (!is_ours(entry->d_name))
			continue;
		path = format(RULES "/%s", entry->d_name);
		removed = remove_file(path);
		status = status ? status : removed;
		free(path);
	}
	closedir(dir);
	return status;
}

enum status persist_remove(const char *parent)
{
	enum status status;
	char *path;

	if (!parent)
		return remove_all();
	path = rules_path(parent);
	status = remove_file(path);
	free(path);
	return status;
}
