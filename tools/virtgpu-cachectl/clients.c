// SPDX-License-Identifier: GPL-2.0-or-later
/* Who uses a device, and how much of it is whose. */

#include "clients.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

/* "N", "N KiB" or "N MiB"; what doesn't fit is as much as can be said */
static uint64_t parse_bytes(const char *text)
{
	unsigned long long n;
	uint64_t bytes;
	char unit[4] = "";

	if (sscanf(text, " %llu %3s", &n, unit) < 1)
		return 0;
	if (__builtin_mul_overflow(n, !strcmp(unit, "KiB") ? 1ull << 10 :
				   !strcmp(unit, "MiB") ? 1ull << 20 : 1,
				   &bytes))
		return UINT64_MAX;
	return bytes;
}

static bool starts(const char *line, const char *key, const char **value)
{
	size_t len = strlen(key);

	*value = line + len + 1;
	return !strncmp(line, key, len) && line[len] == ':';
}

bool usage_parse(FILE *fdinfo, struct usage *usage)
{
	bool ours = false, has_id = false;
	char *line = NULL;
	const char *value;
	size_t size = 0;

	memset(usage, 0, sizeof(*usage));
	while (getline(&line, &size, fdinfo) >= 0) {
		if (starts(line, "drm-driver", &value))
			ours = strstr(value, "virtio_gpu");
		else if (starts(line, "drm-client-id", &value))
			has_id = sscanf(value, " %" SCNu64, &usage->id) == 1;
		else if (starts(line, "drm-total-memory", &value))
			usage->total = parse_bytes(value);
		else if (starts(line, "drm-resident-memory", &value))
			usage->resident = parse_bytes(value);
		else if (starts(line, "drm-purgeable-memory", &value))
			usage->purgeable = parse_bytes(value);
		else if (starts(line, "drm-total-cached", &value))
			usage->cached = parse_bytes(value);
	}
	free(line);
	return ours && has_id;
}

static bool is_known(const struct clients *clients, const char *device,
		     uint64_t id)
{
	for (size_t i = 0; i < clients->n; i++)
		if (clients->v[i].usage.id == id &&
		    !strcmp(clients->v[i].device, device))
			return true;
	return false;
}

static char *process_name(const char *pid)
{
	char *path = format("/proc/%s/comm", pid);
	char *name;

	if (file_read(path, &name))
		name = checked(strdup("?"));
	free(path);
	for (char *c = name; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = *c == '\n' ? '\0' : '?';
	return name;
}

/* DEVICE is what the file descriptor is open on */
static void add_client(struct clients *clients, const char *pid,
		       const char *fd, const struct device *device)
{
	char *path = format("/proc/%s/fdinfo/%s", pid, fd);
	FILE *fdinfo = file_open(path);
	struct client client;

	free(path);
	if (!fdinfo)
		return;
	/* A file that was handed on is in several processes */
	if (usage_parse(fdinfo, &client.usage) &&
	    !is_known(clients, device->name, client.usage.id)) {
		client.pid = atoi(pid);
		client.name = process_name(pid);
		client.device = checked(strdup(device->name));
		clients->v = grown(clients->v, clients->n,
				   sizeof(*clients->v));
		clients->v[clients->n++] = client;
	}
	fclose(fdinfo);
}

static void look_at_process(struct clients *clients,
			    const struct devices *devices, const char *pid)
{
	static const char nodes[] = "/dev/dri/";
	const struct device *device;
	struct dirent *entry;
	char *path, *target;
	DIR *dir;

	path = format("/proc/%s/fd", pid);
	dir = dir_open(path);
	free(path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		path = format("/proc/%s/fd/%s", pid, entry->d_name);
		target = link_read(path);
		free(path);
		device = NULL;
		if (target && !strncmp(target, nodes, strlen(nodes)))
			device = devices_by_node(devices,
						 target + strlen(nodes));
		free(target);
		if (device)
			add_client(clients, pid, entry->d_name, device);
	}
	closedir(dir);
}

static uint64_t size(const struct client *client)
{
	return client->usage.total + client->usage.cached;
}

static int largest_first(const void *a, const void *b)
{
	uint64_t x = size(a), y = size(b);

	return (x < y) - (x > y);
}

void clients_find(struct clients *clients, const struct devices *devices)
{
	DIR *dir = dir_open("/proc");
	struct dirent *entry;

	clients->v = NULL;
	clients->n = 0;
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (isdigit((unsigned char)*entry->d_name))
			look_at_process(clients, devices, entry->d_name);
	closedir(dir);
	if (clients->n)
		qsort(clients->v, clients->n, sizeof(*clients->v),
		      largest_first);
}

void clients_free(struct clients *clients)
{
	for (size_t i = 0; i < clients->n; i++) {
		free(clients->v[i].name);
		free(clients->v[i].device);
	}
	free(clients->v);
}
