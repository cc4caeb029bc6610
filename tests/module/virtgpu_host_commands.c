// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What the simulated host does with each kind of command.
 *
 * A command has its effects in the order of the ring.  Only content is moved, and
 * pages are let go of, at the last moment that is allowed, right before the
 * answer: that is when a driver which doesn't wait for it has moved on.
 */

#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "virtgpu_host_model.h"

/* Of all resources together; a transfer into more is refused. */
#define HOST_COPIES_MAX (256ULL << 20)

/* The target of virgl that is a buffer, measured in bytes. */
#define PIPE_BUFFER 0
#define PIXEL_SIZE 4

#define DISPLAY_WIDTH 640
#define DISPLAY_HEIGHT 480

enum host_context {
	HOST_CONTEXT_ALIVE = 1,
	HOST_CONTEXT_REFUSED,
};

/*
 * Resources and contexts
 */

static struct host_resource *host_create(struct host_model *model,
					 struct host_request *req)
{
	struct host_resource *res;

	if (!req->res || xa_load(&model->resources, req->res)) {
		host_accuse(model, req, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
			    "there is one of that number");
		return NULL;
	}
	res = kzalloc_obj(*res, HOST_GFP);
	res->id = req->res;
	res->pixel_size = PIXEL_SIZE;
	xa_init(&res->attached);
	xa_store(&model->resources, res->id, res, HOST_GFP);
	return res;
}

/* Returns the resource that a command names, or NULL: it is refused. */
static struct host_resource *host_resource(struct host_model *model,
					   struct host_request *req)
{
	struct host_resource *res = xa_load(&model->resources, req->res);

	if (!res)
		host_accuse(model, req, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
			    "the resource is not alive");
	else if (res->released)
		host_accuse(model, req, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
			    "the resource was released");
	else if (res->absent)
		req->answer = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	else
		return res;
	return NULL;
}

/* The same for commands that need its backing. */
static struct host_resource *host_backed(struct host_model *model,
					 struct host_request *req)
{
	struct host_resource *res = host_resource(model, req);

	if (!res || res->nr_pages || res->memory)
		return res;
	if (!res->refused)
		host_accuse(model, req, VIRTIO_GPU_RESP_ERR_UNSPEC,
			    "the resource has no backing");
	req->answer = VIRTIO_GPU_RESP_ERR_UNSPEC;
	return NULL;
}

static bool host_context(struct host_model *model, struct host_request *req)
{
	switch (xa_to_value(xa_load(&model->contexts, req->ctx))) {
	case HOST_CONTEXT_ALIVE:
		return true;
	case HOST_CONTEXT_REFUSED:
		req->answer = VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
		return false;
	default:
		host_accuse(model, req, VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
			    "the context is not alive");
		return false;
	}
}

static unsigned long host_attached(struct host_resource *res, u32 ctx)
{
	return xa_to_value(xa_load(&res->attached, ctx));
}

/*
 * Commands: resources
 */

static void host_begin_create_2d(struct host_model *model,
				 struct host_request *req)
{
	const struct virtio_gpu_resource_create_2d *cmd = (void *)req->cmd;
	struct host_resource *res = host_create(model, req);

	if (!res)
		return;
	res->width = le32_to_cpu(cmd->width);
	res->height = le32_to_cpu(cmd->height);
	res->layers = 1;
	res->size = size_mul(size_mul(res->width, res->height), PIXEL_SIZE);
}

static void host_begin_create_3d(struct host_model *model,
				 struct host_request *req)
{
	const struct virtio_gpu_resource_create_3d *cmd = (void *)req->cmd;
	struct host_resource *res = host_create(model, req);

	if (!res)
		return;
	res->width = le32_to_cpu(cmd->width);
	res->height = le32_to_cpu(cmd->height);
	if (le32_to_cpu(cmd->target) == PIPE_BUFFER)
		res->pixel_size = 1;
	res->layers = max(le32_to_cpu(cmd->depth), 1) *
		      max(le32_to_cpu(cmd->array_size), 1);
	res->size = size_mul(size_mul(res->width, res->height),
			     size_mul(res->layers, res->pixel_size));
}

static void host_begin_create_blob(struct host_model *model,
				   struct host_request *req)
{
	const struct virtio_gpu_resource_create_blob *cmd = (void *)req->cmd;
	struct host_resource *res = host_create(model, req);
	u32 nr = le32_to_cpu(cmd->nr_entries);

	if (!res)
		return;
	res->memory = le32_to_cpu(cmd->blob_mem) != VIRTIO_GPU_BLOB_MEM_GUEST;
	if (!nr && res->memory)
		return;
	host_take_pages(model, req, res, nr);
	res->refused = !res->nr_pages;
}

static void host_refuse_create(struct host_model *model,
			       struct host_request *req)
{
	struct host_resource *res = host_create(model, req);

	if (res)
		res->absent = true;
}

static void host_refuse_use(struct host_model *model, struct host_request *req)
{
	struct host_resource *res = xa_load(&model->resources, req->res);

	if (res)
		res->refused = true;
}

static void host_begin_unref(struct host_model *model,
			     struct host_request *req)
{
	struct host_resource *res = xa_load(&model->resources, req->res);

	if (res && res->absent) {
		req->answer = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
		xa_erase(&model->resources, req->res);
		host_free(model, res);
		return;
	}
	res = host_resource(model, req);
	if (res)
		res->released = true;
}

static void host_finish_unref(struct host_model *model,
			      struct host_request *req)
{
	struct host_resource *res = xa_load(&model->resources, req->res);

	if (!res)
		return;
	host_return_pages(model, res);
	xa_erase(&model->resources, req->res);
	host_free(model, res);
}

static void host_refuse_unref(struct host_model *model,
			      struct host_request *req)
{
	struct host_resource *res = xa_load(&model->resources, req->res);

	if (!res || res->released)
		return;
	if (res->absent) {
		xa_erase(&model->resources, req->res);
		host_free(model, res);
	} else {
		host_keep(model, res);
	}
}

static void host_begin_attach(struct host_model *model,
			      struct host_request *req)
{
	const struct virtio_gpu_resource_attach_backing *cmd =
		(void *)req->cmd;
	struct host_resource *res = host_resource(model, req);

	if (!res)
		return;
	if (res->nr_pages) {
		host_accuse(model, req, VIRTIO_GPU_RESP_ERR_UNSPEC,
			    "the resource has its backing");
		return;
	}
	host_take_pages(model, req, res, le32_to_cpu(cmd->nr_entries));
	res->refused |= !res->nr_pages;
}

static void host_begin_detach(struct host_model *model,
			      struct host_request *req)
{
	host_backed(model, req);
}

static void host_finish_detach(struct host_model *model,
			       struct host_request *req)
{
	struct host_resource *res = xa_load(&model->resources, req->res);

	if (res)
		host_return_pages(model, res);
}

static void host_refuse_detach(struct host_model *model,
			       struct host_request *req)
{
	struct host_resource *res = xa_load(&model->resources, req->res);

	host_refuse_use(model, req);
	if (res)
		res->loose = true;
}

static void host_begin_uuid(struct host_model *model, struct host_request *req)
{
	if (!host_resource(model, req))
		return;
	memcpy(req->response.uuid.uuid, &req->res, sizeof(req->res));
	req->answer = VIRTIO_GPU_RESP_OK_RESOURCE_UUID;
	req->response_len = sizeof(req->response.uuid);
}

/* No resource: nothing is shown any more. */
static void host_begin_scanout(struct host_model *model,
			       struct host_request *req)
{
	if (req->res)
		host_backed(model, req);
}

static void host_begin_flush(struct host_model *model,
			     struct host_request *req)
{
	host_backed(model, req);
}

static void host_begin_cursor(struct host_model *model,
			      struct host_request *req)
{
	if (req->res)
		host_resource(model, req);
}

/*
 * Commands: contexts
 */

static void host_begin_ctx_create(struct host_model *model,
				  struct host_request *req)
{
	if (!req->ctx || xa_load(&model->contexts, req->ctx))
		host_accuse(model, req, VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
			    "there is one of that number");
	else
		xa_store(&model->contexts, req->ctx,
			 xa_mk_value(HOST_CONTEXT_ALIVE), HOST_GFP);
}

static void host_refuse_ctx_create(struct host_model *model,
				   struct host_request *req)
{
	host_begin_ctx_create(model, req);
	xa_store(&model->contexts, req->ctx, xa_mk_value(HOST_CONTEXT_REFUSED),
		 HOST_GFP);
}

/* The number is free for another one, also when it was refused. */
static void host_begin_ctx_destroy(struct host_model *model,
				   struct host_request *req)
{
	struct host_resource *res;
	unsigned long id;

	host_context(model, req);
	xa_erase(&model->contexts, req->ctx);
	xa_for_each(&model->resources, id, res)
		xa_erase(&res->attached, req->ctx);
}

static void host_begin_ctx_attach(struct host_model *model,
				  struct host_request *req)
{
	struct host_resource *res;

	if (!host_context(model, req))
		return;
	res = host_resource(model, req);
	/* virglrenderer takes one without backing; only a refusal leads there. */
	if (!res || (!res->refused && !host_backed(model, req)))
		return;
	xa_store(&res->attached, req->ctx,
		 xa_mk_value(host_attached(res, req->ctx) + 1), HOST_GFP);
}

/*
 * A file that got its context late detaches what it never attached, without us
 * too.
 */
static void host_begin_ctx_detach(struct host_model *model,
				  struct host_request *req)
{
	struct host_resource *res;
	unsigned long times;

	if (!host_context(model, req))
		return;
	res = host_resource(model, req);
	if (!res)
		return;
	times = host_attached(res, req->ctx);
	if (times > 1)
		xa_store(&res->attached, req->ctx, xa_mk_value(times - 1),
			 HOST_GFP);
	else
		xa_erase(&res->attached, req->ctx);
}

static void host_begin_submit(struct host_model *model,
			      struct host_request *req)
{
	host_context(model, req);
}

/*
 * Commands: transfers
 */

static void host_begin_transfer_3d(struct host_model *model,
				   struct host_request *req)
{
	struct host_resource *res;

	if (!host_context(model, req))
		return;
	res = host_backed(model, req);
	if (!res || host_attached(res, req->ctx))
		return;
	if (!res->refused)
		host_accuse(model, req, VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
			    "the context does not have the resource");
	req->answer = VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
}

static bool host_make_copy(struct host_model *model, struct host_resource *res)
{
	if (res->copy)
		return true;
	if (!res->size || model->copied + res->size > HOST_COPIES_MAX)
		return false;
	res->copy = kvzalloc(res->size, HOST_GFP);
	model->copied += res->size;
	return true;
}

static bool host_region_fits(const struct host_resource *res,
			     const struct host_region *region)
{
	return (u64)region->x + region->w <= res->width &&
	       (u64)region->y + region->h <= res->height &&
	       (u64)region->z + region->d <= res->layers;
}

static void host_transfer(struct host_model *model, struct host_request *req,
			  struct host_region *region, bool to_host)
{
	struct host_resource *res = xa_load(&model->resources, req->res);

	/* It may have been released since. */
	if (!res || !res->nr_pages || res->memory)
		return;
	host_check_pages(model, res);
	if (res->lost)
		return;
	if (!region->stride)
		region->stride = (u64)res->width * res->pixel_size;
	if (!region->layer_stride)
		region->layer_stride = size_mul(region->stride, res->height);
	if (!host_region_fits(res, region))
		req->answer = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	else if (to_host && !host_make_copy(model, res))
		req->answer = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	else
		host_move_region(res, region, to_host);
}

/* Of the levels, only the largest has content. */
static void host_transfer_3d(struct host_model *model, struct host_request *req,
			     bool to_host)
{
	const struct virtio_gpu_transfer_host_3d *cmd = (void *)req->cmd;
	struct host_region region = {
		.x = le32_to_cpu(cmd->box.x),
		.y = le32_to_cpu(cmd->box.y),
		.z = le32_to_cpu(cmd->box.z),
		.w = le32_to_cpu(cmd->box.w),
		.h = le32_to_cpu(cmd->box.h),
		.d = le32_to_cpu(cmd->box.d),
		.offset = le64_to_cpu(cmd->offset),
		.stride = le32_to_cpu(cmd->stride),
		.layer_stride = le32_to_cpu(cmd->layer_stride),
	};

	if (!cmd->level)
		host_transfer(model, req, &region, to_host);
}

static void host_finish_to_3d(struct host_model *model,
			      struct host_request *req)
{
	host_transfer_3d(model, req, true);
}

static void host_finish_from_3d(struct host_model *model,
				struct host_request *req)
{
	host_transfer_3d(model, req, false);
}

static void host_begin_to_2d(struct host_model *model,
			     struct host_request *req)
{
	host_backed(model, req);
}

static void host_finish_to_2d(struct host_model *model,
			      struct host_request *req)
{
	const struct virtio_gpu_transfer_to_host_2d *cmd = (void *)req->cmd;
	struct host_region region = {
		.x = le32_to_cpu(cmd->r.x),
		.y = le32_to_cpu(cmd->r.y),
		.w = le32_to_cpu(cmd->r.width),
		.h = le32_to_cpu(cmd->r.height),
		.d = 1,
		.offset = le64_to_cpu(cmd->offset),
	};

	host_transfer(model, req, &region, true);
}

/*
 * Commands: the device
 */

static void host_begin_display(struct host_model *model,
			       struct host_request *req)
{
	struct virtio_gpu_resp_display_info *info = &req->response.display;

	info->pmodes[0].enabled = cpu_to_le32(1);
	info->pmodes[0].r.width = cpu_to_le32(DISPLAY_WIDTH);
	info->pmodes[0].r.height = cpu_to_le32(DISPLAY_HEIGHT);
	req->answer = VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
	req->response_len = sizeof(*info);
}

static void host_begin_capset_info(struct host_model *model,
				   struct host_request *req)
{
	struct virtio_gpu_resp_capset_info *info = &req->response.capset_info;

	info->capset_id = cpu_to_le32(VIRTIO_GPU_CAPSET_VIRGL);
	info->capset_max_version = cpu_to_le32(1);
	info->capset_max_size = cpu_to_le32(HOST_CAPSET_SIZE);
	req->answer = VIRTIO_GPU_RESP_OK_CAPSET_INFO;
	req->response_len = sizeof(*info);
}

/* It can do nothing. */
static void host_begin_capset(struct host_model *model,
			      struct host_request *req)
{
	req->answer = VIRTIO_GPU_RESP_OK_CAPSET;
	req->response_len = sizeof(req->response.capset);
}

#define KIND(TYPE, NAME, STRUCT, ...)					\
	{								\
		.type = VIRTIO_GPU_CMD_##TYPE, .name = NAME,		\
		.size = sizeof(struct virtio_gpu_##STRUCT), __VA_ARGS__	\
	}
#define RES(STRUCT)							\
	.res = offsetof(struct virtio_gpu_##STRUCT, resource_id)

const struct host_kind host_kinds[] = {
	KIND(RESOURCE_CREATE_2D, "create_2d", resource_create_2d,
	     RES(resource_create_2d),
	     .begin = host_begin_create_2d, .refuse = host_refuse_create),
	KIND(RESOURCE_CREATE_3D, "create_3d", resource_create_3d,
	     RES(resource_create_3d),
	     .begin = host_begin_create_3d, .refuse = host_refuse_create),
	KIND(RESOURCE_CREATE_BLOB, "create_blob", resource_create_blob,
	     RES(resource_create_blob),
	     .begin = host_begin_create_blob, .refuse = host_refuse_create),
	KIND(RESOURCE_UNREF, "unref", resource_unref, RES(resource_unref),
	     .begin = host_begin_unref, .finish = host_finish_unref,
	     .refuse = host_refuse_unref),
	KIND(RESOURCE_ATTACH_BACKING, "attach_backing",
	     resource_attach_backing, RES(resource_attach_backing),
	     .begin = host_begin_attach, .refuse = host_refuse_use),
	KIND(RESOURCE_DETACH_BACKING, "detach_backing",
	     resource_detach_backing, RES(resource_detach_backing),
	     .begin = host_begin_detach, .finish = host_finish_detach,
	     .refuse = host_refuse_detach),
	KIND(RESOURCE_ASSIGN_UUID, "assign_uuid", resource_assign_uuid,
	     RES(resource_assign_uuid), .begin = host_begin_uuid),
	KIND(SET_SCANOUT, "set_scanout", set_scanout, RES(set_scanout),
	     .begin = host_begin_scanout),
	KIND(SET_SCANOUT_BLOB, "set_scanout_blob", set_scanout_blob,
	     RES(set_scanout_blob), .begin = host_begin_scanout),
	KIND(RESOURCE_FLUSH, "flush", resource_flush, RES(resource_flush),
	     .begin = host_begin_flush),
	KIND(TRANSFER_TO_HOST_2D, "transfer_to_2d", transfer_to_host_2d,
	     RES(transfer_to_host_2d),
	     .begin = host_begin_to_2d, .finish = host_finish_to_2d),
	KIND(CTX_CREATE, "ctx_create", ctx_create,
	     .begin = host_begin_ctx_create,
	     .refuse = host_refuse_ctx_create),
	KIND(CTX_DESTROY, "ctx_destroy", ctx_destroy,
	     .begin = host_begin_ctx_destroy,
	     .refuse = host_begin_ctx_destroy),
	KIND(CTX_ATTACH_RESOURCE, "ctx_attach", ctx_resource,
	     RES(ctx_resource),
	     .begin = host_begin_ctx_attach, .refuse = host_refuse_use),
	KIND(CTX_DETACH_RESOURCE, "ctx_detach", ctx_resource,
	     RES(ctx_resource), .begin = host_begin_ctx_detach),
	KIND(TRANSFER_TO_HOST_3D, "transfer_to_3d", transfer_host_3d,
	     RES(transfer_host_3d),
	     .begin = host_begin_transfer_3d, .finish = host_finish_to_3d),
	KIND(TRANSFER_FROM_HOST_3D, "transfer_from_3d", transfer_host_3d,
	     RES(transfer_host_3d),
	     .begin = host_begin_transfer_3d, .finish = host_finish_from_3d),
	KIND(SUBMIT_3D, "submit_3d", cmd_submit, .begin = host_begin_submit),
	KIND(GET_DISPLAY_INFO, "get_display_info", ctrl_hdr,
	     .begin = host_begin_display),
	KIND(GET_CAPSET_INFO, "get_capset_info", get_capset_info,
	     .begin = host_begin_capset_info),
	KIND(GET_CAPSET, "get_capset", get_capset,
	     .begin = host_begin_capset),
	KIND(UPDATE_CURSOR, "update_cursor", update_cursor,
	     RES(update_cursor), .begin = host_begin_cursor),
	KIND(MOVE_CURSOR, "move_cursor", update_cursor),
};

const unsigned int host_nr_kinds = ARRAY_SIZE(host_kinds);
