// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A plugin of libtraceevent: trace-cmd report and KernelShark print the events
 * of virtio-gpu and of its BO cache in words, by what their fields are called.
 *
 * The words are those of the virtio-gpu and virgl protocols, in lower case.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <event-parse.h>
#include <trace-seq.h>

#include <linux/virtio_gpu.h>

#include "../cachectl.h"
#include "../units.h"

struct word {
	unsigned int value;
	const char *text;
};

static const struct word commands[] = {
	{ VIRTIO_GPU_CMD_GET_DISPLAY_INFO, "get_display_info" },
	{ VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, "resource_create_2d" },
	{ VIRTIO_GPU_CMD_RESOURCE_UNREF, "resource_unref" },
	{ VIRTIO_GPU_CMD_SET_SCANOUT, "set_scanout" },
	{ VIRTIO_GPU_CMD_RESOURCE_FLUSH, "resource_flush" },
	{ VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, "transfer_to_host_2d" },
	{ VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, "attach_backing" },
	{ VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, "detach_backing" },
	{ VIRTIO_GPU_CMD_GET_CAPSET_INFO, "get_capset_info" },
	{ VIRTIO_GPU_CMD_GET_CAPSET, "get_capset" },
	{ VIRTIO_GPU_CMD_GET_EDID, "get_edid" },
	{ VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, "assign_uuid" },
	{ VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, "resource_create_blob" },
	{ VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, "set_scanout_blob" },
	{ VIRTIO_GPU_CMD_CTX_CREATE, "ctx_create" },
	{ VIRTIO_GPU_CMD_CTX_DESTROY, "ctx_destroy" },
	{ VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, "ctx_attach" },
	{ VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, "ctx_detach" },
	{ VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, "resource_create_3d" },
	{ VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, "transfer_to_host_3d" },
	{ VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, "transfer_from_host_3d" },
	{ VIRTIO_GPU_CMD_SUBMIT_3D, "submit_3d" },
	{ VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB, "map_blob" },
	{ VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, "unmap_blob" },
	{ VIRTIO_GPU_CMD_UPDATE_CURSOR, "update_cursor" },
	{ VIRTIO_GPU_CMD_MOVE_CURSOR, "move_cursor" },
	{ VIRTIO_GPU_RESP_OK_NODATA, "ok" },
	{ VIRTIO_GPU_RESP_OK_DISPLAY_INFO, "ok_display_info" },
	{ VIRTIO_GPU_RESP_OK_CAPSET_INFO, "ok_capset_info" },
	{ VIRTIO_GPU_RESP_OK_CAPSET, "ok_capset" },
	{ VIRTIO_GPU_RESP_OK_EDID, "ok_edid" },
	{ VIRTIO_GPU_RESP_OK_RESOURCE_UUID, "ok_uuid" },
	{ VIRTIO_GPU_RESP_OK_MAP_INFO, "ok_map_info" },
	{ VIRTIO_GPU_RESP_ERR_UNSPEC, "error" },
	{ VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY, "error_out_of_memory" },
	{ VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID, "error_scanout_id" },
	{ VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID, "error_resource_id" },
	{ VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID, "error_context_id" },
	{ VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER, "error_parameter" },
	{ 0, NULL }
};

/* Those that Mesa's programs are seen to use; others stay numbers */
static const struct word formats[] = {
	{ 1, "b8g8r8a8" }, { 2, "b8g8r8x8" }, { 3, "a8r8g8b8" },
	{ 4, "x8r8g8b8" }, { 5, "b5g5r5a1" }, { 6, "b4g4r4a4" },
	{ 7, "b5g6r5" }, { 8, "r10g10b10a2" }, { 9, "l8" }, { 10, "a8" },
	{ 12, "l8a8" }, { 16, "z16" }, { 17, "z32" }, { 18, "z32f" },
	{ 19, "z24s8" }, { 20, "s8z24" }, { 21, "z24x8" }, { 22, "x8z24" },
	{ 23, "s8" }, { 28, "r32f" }, { 29, "r32g32f" }, { 30, "r32g32b32f" },
	{ 31, "r32g32b32a32f" }, { 48, "r16" }, { 49, "r16g16" },
	{ 51, "r16g16b16a16" }, { 64, "r8" }, { 65, "r8g8" },
	{ 66, "r8g8b8" }, { 67, "r8g8b8a8" }, { 68, "x8b8g8r8" },
	{ 74, "r8s" }, { 77, "r8g8b8a8s" }, { 91, "r16f" },
	{ 92, "r16g16f" }, { 94, "r16g16b16a16f" },
	{ 100, "b8g8r8a8_srgb" }, { 101, "b8g8r8x8_srgb" },
	{ 104, "r8g8b8a8_srgb" }, { 105, "dxt1" }, { 106, "dxt1a" },
	{ 107, "dxt3" }, { 108, "dxt5" }, { 121, "a8b8g8r8" },
	{ 124, "r11g11b10f" }, { 125, "r9g9b9e5f" }, { 126, "z32fs8" },
	{ 131, "b10g10r10a2" }, { 134, "r8g8b8x8" }, { 163, "yv12" },
	{ 165, "iyuv" }, { 166, "nv12" }, { 177, "r8ui" },
	{ 180, "r8g8b8a8ui" }, { 193, "r32ui" }, { 196, "r32g32b32a32ui" },
	{ 269, "etc2_rgb8" }, { 273, "etc2_rgba8" },
	{ 0, NULL }
};

static const struct word binds[] = {
	{ 1 << 0, "depth_stencil" }, { 1 << 1, "render_target" },
	{ 1 << 3, "sampler_view" }, { 1 << 4, "vertex_buffer" },
	{ 1 << 5, "index_buffer" }, { 1 << 6, "constant_buffer" },
	{ 1 << 7, "display_target" }, { 1 << 8, "command_args" },
	{ 1 << 11, "stream_output" }, { 1 << 14, "shader_buffer" },
	{ 1 << 15, "query_buffer" }, { 1 << 16, "cursor" },
	{ 1 << 17, "custom" }, { 1 << 18, "scanout" }, { 1 << 19, "staging" },
	{ 1 << 20, "shared" }, { 1 << 21, "prefer_emulated_bgra" },
	{ 1 << 22, "linear" },
	{ 0, NULL }
};

static const struct word kinds[] = {
	{ 0, "blob" }, { 1, "2d" }, { 2, "3d" }, { 3, "buffer" }, { 0, NULL }
};

static const struct word tiers[] = {
	{ 0, "none" }, { 1, "resource" }, { 2, "pages" }, { 3, "purgeable" },
	{ 0, NULL }
};

static const struct word misses[] = {
	{ 0, "empty" }, { 1, "size" }, { 2, "cgroup" }, { 3, "owner" },
	{ 4, "ident" }, { 5, "busy" }, { 6, "backoff" }, { 0, NULL }
};

static const struct word purges[] = {
	{ 0, "expired" }, { 1, "limit" }, { 2, "alloc" }, { 3, "admin" },
	{ 4, "disabled" }, { 5, "drain" }, { 6, "refused" },
	{ 7, "pressure" }, { 8, "host" }, { 9, "closed" }, { 0, NULL }
};

static const struct word rejects[] = {
	{ 0, "none" }, { 1, "shared" }, { 2, "custom" }, { 3, "blob" },
	{ 4, "busy" }, { 5, "owner" }, { 6, "refused" }, { 7, "disabled" },
	{ 8, "size" }, { 9, "foreign" }, { 10, "gone" }, { 11, "pressure" },
	{ 12, "tight" }, { 13, "nomem" }, { 0, NULL }
};

/* How a field is printed, by its name; others are numbers */
static const struct {
	const char *name;
	const struct word *words;
	bool is_mask;
} fields[] = {
	{ "type", commands, false },
	{ "format", formats, false },
	{ "bind", binds, true },
	{ "kind", kinds, false },
	{ "tier", tiers, false },
};

/* Each event with reasons has its own */
static const struct {
	const char *event;
	const struct word *words;
} reasons[] = {
	{ "bo_cache_miss", misses },
	{ "bo_cache_purge", purges },
	{ "bo_cache_reject", rejects },
	{ "bo_cache_free", rejects },
};

static const struct word *find_words(const struct tep_event *event,
				     const char *field, bool *is_mask)
{
	*is_mask = false;
	if (!strcmp(field, "reason"))
		for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
			if (!strcmp(reasons[i].event, event->name))
				return reasons[i].words;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (!strcmp(fields[i].name, field)) {
			*is_mask = fields[i].is_mask;
			return fields[i].words;
		}
	return NULL;
}

/* Events of a class all have the field */
static bool has_reason(const struct tep_event *event)
{
	bool is_mask;

	return find_words(event, "reason", &is_mask);
}

static void print_word(struct trace_seq *seq, const struct word *words,
		       uint64_t value)
{
	for (; words->text; words++)
		if (words->value == value) {
			trace_seq_puts(seq, words->text);
			return;
		}
	trace_seq_printf(seq, "0x%" PRIx64, value);
}

/* Names with a bar between, and what has none as a number */
static void print_mask(struct trace_seq *seq, const struct word *words,
		       uint64_t value)
{
	const char *between = "";

	for (; words->text; words++) {
		if (!(value & words->value))
			continue;
		trace_seq_printf(seq, "%s%s", between, words->text);
		value &= ~(uint64_t)words->value;
		between = "|";
	}
	if (value)
		trace_seq_printf(seq, "%s0x%" PRIx64, between, value);
	else if (!*between)
		trace_seq_puts(seq, "none");
}

static void print_field(struct trace_seq *seq, const struct tep_event *event,
			const char *name, uint64_t value)
{
	const struct word *words;
	bool is_mask;
	char *text;

	words = find_words(event, name, &is_mask);
	if (words && is_mask) {
		print_mask(seq, words, value);
	} else if (words) {
		print_word(seq, words, value);
	} else if (!strcmp(name, "size") || !strcmp(name, "max_bytes")) {
		text = unit_format(UNIT_BYTES, value, false);
		trace_seq_puts(seq, text);
		free(text);
	} else {
		trace_seq_printf(seq, "%" PRIu64, value);
	}
}

/* Names of queues are strings, and say no more than the queue's number */
static int print_event(struct trace_seq *seq, struct tep_record *record,
		       struct tep_event *event, void *context)
{
	struct tep_format_field *field;
	const char *between = "";
	unsigned long long value;

	(void)context;
	for (field = event->format.fields; field; field = field->next) {
		if (field->flags & (TEP_FIELD_IS_STRING | TEP_FIELD_IS_ARRAY |
				    TEP_FIELD_IS_DYNAMIC) ||
		    field->offset + field->size > record->size ||
		    (!strcmp(field->name, "reason") && !has_reason(event)) ||
		    tep_read_number_field(field, record->data, &value))
			continue;
		trace_seq_printf(seq, "%s%s=", between, field->name);
		between = " ";
		print_field(seq, event, field->name, value);
	}
	return 0;
}

static const struct {
	const char *system;
	const char *event;
} events[] = {
	{ "virtio_gpu", "virtio_gpu_cmd_queue" },
	{ "virtio_gpu", "virtio_gpu_cmd_response" },
	{ "virtio_gpu_bo_cache", "bo_cache_create" },
	{ "virtio_gpu_bo_cache", "bo_cache_created" },
	{ "virtio_gpu_bo_cache", "bo_cache_free" },
	{ "virtio_gpu_bo_cache", "bo_cache_put" },
	{ "virtio_gpu_bo_cache", "bo_cache_hit" },
	{ "virtio_gpu_bo_cache", "bo_cache_miss" },
	{ "virtio_gpu_bo_cache", "bo_cache_demote" },
	{ "virtio_gpu_bo_cache", "bo_cache_expire" },
	{ "virtio_gpu_bo_cache", "bo_cache_purge" },
	{ "virtio_gpu_bo_cache", "bo_cache_reject" },
	{ "virtio_gpu_bo_cache", "bo_cache_retire" },
};

#define SHOWN __attribute__((visibility("default")))

SHOWN int TEP_PLUGIN_LOADER(struct tep_handle *tep);
SHOWN void TEP_PLUGIN_UNLOADER(struct tep_handle *tep);

int TEP_PLUGIN_LOADER(struct tep_handle *tep)
{
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		tep_register_event_handler(tep, -1, events[i].system,
					   events[i].event, print_event, NULL);
	return 0;
}

void TEP_PLUGIN_UNLOADER(struct tep_handle *tep)
{
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		tep_unregister_event_handler(tep, -1, events[i].system,
					     events[i].event, print_event,
					     NULL);
}
