// SPDX-License-Identifier: GPL-2.0-or-later
/* "get", "set" and "reset": the knobs, all or none of those asked for. */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "files.h"
#include "persist.h"
#include "settings.h"

#define PARAMETERS "/sys/module/virtio_gpu/parameters"

static const struct attr *find_key(const char *name, bool knob)
{
	const struct attr *attr = attr_find(name);

	if (!attr) {
		complain("unknown key '%s'", name);
		advise("'virtgpu-cachectl --list-columns' shows those there are");
	} else if (knob && attr->kind != KNOB) {
		complain("'%s' can't be set, it is a counter", name);
		advise("enabled, timeout_ms and max_bytes can be set");
		attr = NULL;
	}
	return attr;
}

/*
 * Get
 */

static enum status print_value(const struct options *opts,
			       const struct device *device,
			       const struct attr *attr)
{
	size_t i = attr - attrs;
	char *text;

	if (!device->now.known[i]) {
		complain("%s: its driver has no %s", device->name, attr->name);
		advise("the module is older than this program");
		return FAILED;
	}
	text = unit_format(attr->unit, device->now.value[i], opts->bytes);
	puts(text);
	free(text);
	return DONE;
}

enum status cmd_get(const struct options *opts, int argc, char **argv)
{
	enum status status = DONE;
	struct devices devices;

	for (int i = 0; i < argc; i++)
		if (!find_key(argv[i], false))
			return USAGE;
	status = devices_choose(&devices, opts->device, true);
	if (status)
		return status;
	if (devices.n > 1) {
		complain("there are %zu devices", devices.n);
		advise("say which by --device, for example --device %s",
		       devices.v[0].name);
		status = USAGE;
	}
	for (int i = 0; i < argc && !status; i++)
		status = print_value(opts, &devices.v[0], attr_find(argv[i]));
	devices_free(&devices);
	return status;
}

/*
 * Set
 */

/**
 * struct write - a knob that was set
 * @path: its file
 * @before: what it was
 */
struct write {
	char *path;
	char *before;
};

struct writes {
	struct write *v;
	size_t n;
};

static void undo(const struct writes *writes)
{
	bool undone = true;
	int error;

	for (size_t i = writes->n; i-- > 0;) {
		error = file_write(writes->v[i].path, writes->v[i].before);
		/* A device that is gone has nothing left to undo */
		if (!error || status_of(error) == NO_DEVICE)
			continue;
		complain("%s: cannot be set back to %s: %s", writes->v[i].path,
			 writes->v[i].before, strerror(error));
		undone = false;
	}
	if (undone)
		advise("nothing was changed");
}

static void writes_free(struct writes *writes)
{
	for (size_t i = 0; i < writes->n; i++) {
		free(writes->v[i].path);
		free(writes->v[i].before);
	}
	free(writes->v);
}

static void explain(const char *path, const struct setting *setting, int error)
{
	complain("%s: cannot be set to %s: %s", path, setting->text,
		 strerror(error));
	if (error == EINVAL && setting->attr->unit == UNIT_MS)
		advise("it takes up to 60s; 0 switches the cache off");
	else if (error == EINVAL && setting->attr->unit == UNIT_BYTES)
		advise("it takes no more than there is memory");
	else if (status_of(error) == DENIED)
		advise("only root can set it");
	else if (status_of(error) == NO_DEVICE)
		advise("the device has just gone away");
}

static enum status write_one(const struct device *device,
			     const struct setting *setting,
			     struct writes *writes)
{
	struct write write;
	int error;

	write.path = attr_path(setting->attr, device->name);
	error = file_read(write.path, &write.before);
	if (!error)
		error = file_write(write.path, setting->text);
	if (error) {
		explain(write.path, setting, error);
		free(write.path);
		free(write.before);
		return status_of(error);
	}
	write.before[strcspn(write.before, "\n")] = '\0';
	writes->v = grown(writes->v, writes->n, sizeof(*writes->v));
	writes->v[writes->n++] = write;
	return DONE;
}

/* To all devices, and if PERSIST is set into the rules, too; or not at all */
static enum status apply(const struct devices *devices,
			 const struct settings *settings, bool persist,
			 const char *parent)
{
	struct writes writes = { NULL, 0 };
	enum status status = DONE;
	sigset_t all, before;

	/* Half of it would be done after an interrupt */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	for (size_t d = 0; d < devices->n && !status; d++)
		for (size_t i = 0; i < settings->n && !status; i++)
			status = write_one(&devices->v[d], &settings->v[i],
					   &writes);
	if (!status && persist)
		status = persist_add(settings, parent);
	if (status)
		undo(&writes);
	sigprocmask(SIG_SETMASK, &before, NULL);
	writes_free(&writes);
	return status;
}

static void add_setting(struct settings *settings, const struct attr *attr,
			uint64_t value)
{
	settings->v = grown(settings->v, settings->n, sizeof(*settings->v));
	settings->v[settings->n].attr = attr;
	settings->v[settings->n++].text = format("%" PRIu64, value);
}

static void settings_free(struct settings *settings)
{
	for (size_t i = 0; i < settings->n; i++)
		free(settings->v[i].text);
	free(settings->v);
}

static enum status parse_setting(char *argument, struct settings *settings)
{
	char *value = strchr(argument, '=');
	const struct attr *attr;
	const char *wrong;
	uint64_t number;

	if (!value) {
		complain("'%s' is not KEY=VALUE", argument);
		advise("for example timeout_ms=2s");
		return USAGE;
	}
	*value++ = '\0';
	attr = find_key(argument, true);
	if (!attr)
		return USAGE;
	wrong = unit_parse(attr->unit, value, &number);
	if (wrong) {
		complain("%s: '%s' %s", attr->name, value, wrong);
		advise("%s", attr->unit == UNIT_MS ?
		       "a time is for example 250ms, 2s or 1min" :
		       attr->unit == UNIT_BYTES ?
		       "a size is for example 4096, 64M or 1.5GiB" :
		       "it is on or off");
		return USAGE;
	}
	add_setting(settings, attr, number);
	return DONE;
}

/* Settings for one device are kept by what it is on: names change. */
static enum status find_scope(const struct options *opts,
			      const struct devices *devices,
			      const char **parent)
{
	*parent = NULL;
	if (!opts->persist || !opts->device)
		return DONE;
	*parent = devices->v[0].parent;
	if (*parent && persist_possible(*parent))
		return DONE;
	complain("%s: no rule can name what it is on: '%s'",
		 devices->v[0].name, *parent ? *parent : "");
	advise("leave --device away, to keep the settings for all devices");
	return FAILED;
}

enum status cmd_set(const struct options *opts, int argc, char **argv)
{
	struct settings settings = { NULL, 0 };
	struct devices devices = { NULL, 0 };
	enum status status = DONE;
	const char *parent;

	for (int i = 0; i < argc && !status; i++)
		status = parse_setting(argv[i], &settings);
	if (!status)
		status = devices_choose(&devices, opts->device, true);
	if (!status)
		status = find_scope(opts, &devices, &parent);
	if (!status)
		status = apply(&devices, &settings, opts->persist, parent);
	devices_free(&devices);
	settings_free(&settings);
	return status;
}

/*
 * Reset
 */

/* What the driver takes for 0: see the module's description */
static int default_limit(uint64_t *bytes)
{
	unsigned long long kib = 0;
	char *text;
	int error = file_read("/proc/meminfo", &text);

	if (error)
		return error;
	if (sscanf(text, "MemTotal: %llu kB", &kib) != 1)
		error = EINVAL;
	free(text);
	*bytes = kib * 1024 / 16;
	if (*bytes > 256ull << 20)
		*bytes = 256ull << 20;
	return error;
}

/* What a device starts with is a parameter of the module's. */
static int read_default(const struct attr *attr, uint64_t *value)
{
	char *path = format(PARAMETERS "/bo_cache_%s", attr->name);
	char *text;
	int error = file_read(path, &text);

	free(path);
	if (error)
		return error;
	text[strcspn(text, "\n")] = '\0';
	if (unit_parse(attr->unit == UNIT_SWITCH ? UNIT_SWITCH : UNIT_NONE,
		       text, value))
		error = EINVAL;
	else if (attr->unit == UNIT_BYTES && !*value)
		error = default_limit(value);
	free(text);
	return error;
}

static enum status read_defaults(struct settings *settings)
{
	uint64_t value;
	int error;

	for (size_t i = 0; i < ATTRS; i++) {
		if (attrs[i].kind != KNOB)
			continue;
		error = read_default(&attrs[i], &value);
		if (error) {
			complain(PARAMETERS "/bo_cache_%s: %s", attrs[i].name,
				 strerror(error));
			advise("without the module's parameters the defaults are not known");
			return FAILED;
		}
		add_setting(settings, &attrs[i], value);
	}
	return DONE;
}

enum status cmd_reset(const struct options *opts, int argc, char **argv)
{
	struct settings settings = { NULL, 0 };
	struct devices devices = { NULL, 0 };
	const char *parent;
	enum status status;

	(void)argc;
	(void)argv;
	status = devices_choose(&devices, opts->device, true);
	if (!status)
		status = find_scope(opts, &devices, &parent);
	if (!status)
		status = read_defaults(&settings);
	if (!status)
		status = apply(&devices, &settings, false, NULL);
	if (!status && opts->persist)
		status = persist_remove(parent);
	devices_free(&devices);
	settings_free(&settings);
	return status;
}
