// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What the simulated host knows: resources, contexts, and the guest's pages that
 * back resources; and whether the driver keeps the rules:
 *
 * - It names resources and contexts while they are alive, makes none twice and
 *   releases none twice.
 * - It uses a resource when that has its backing, and in the contexts that it is
 *   attached to.
 * - It keeps the pages of a backing until the host has answered the command that
 *   takes them back, and gives them to no other resource before.
 * - It gives them to another one without what was in them.
 *
 * The driver is not to blame for what follows from a refusal: it looks at few
 * answers.  Commands on what the host refused to make are refused, and that is
 * all.
 */

#include <linux/list.h>
#include <linux/printk.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "virtgpu_host_model.h"

/*
 * Violations
 */

/**
 * host_model_accuse - the driver has done what it must not do
 * @model: the model
 * @fmt: what it is
 */
void host_model_accuse(struct host_model *model, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = kvasprintf(HOST_GFP, fmt, args);
	va_end(args);
	if (!model->quiet)
		pr_err("BUG: virtgpu_host: %s\n", text);
	if (model->violations < HOST_TEXTS)
		model->text[model->violations] = text;
	else
		kfree(text);
	model->violations++;
}

/**
 * host_accuse - it has given a command that it must not give
 * @model: the model
 * @req: the command
 * @error: how that is answered
 * @what: what is wrong
 */
void host_accuse(struct host_model *model, struct host_request *req, u32 error,
		 const char *what)
{
	host_model_accuse(model, "%s (resource %u, context %u): %s",
			  req->kind->name, req->res, req->ctx, what);
	req->answer = error;
}

/*
 * Resources
 */

/**
 * host_free - forget a resource
 * @model: the model, which no longer has it
 * @res: the resource
 */
void host_free(struct host_model *model, struct host_resource *res)
{
	host_put_pages(model, res);
	if (res->copy)
		model->copied -= res->size;
	kvfree(res->copy);
	xa_destroy(&res->attached);
	kfree(res);
}

/**
 * host_keep - the driver is done with a resource, the host is not
 * @model: the model
 * @res: the resource
 */
void host_keep(struct host_model *model, struct host_resource *res)
{
	xa_erase(&model->resources, res->id);
	list_add_tail(&res->kept, &model->kept);
}

/*
 * Commands
 */

/**
 * host_kind_named - look for a kind of command
 * @name: its name, as in debugfs
 *
 * Returns: the kind or NULL.
 */
const struct host_kind *host_kind_named(const char *name)
{
	unsigned int i;

	for (i = 0; i < host_nr_kinds; i++)
		if (!strcmp(name, host_kinds[i].name))
			return &host_kinds[i];
	return NULL;
}

static const struct host_kind *host_kind_of(u32 type)
{
	unsigned int i;

	for (i = 0; i < host_nr_kinds; i++)
		if (type == host_kinds[i].type)
			return &host_kinds[i];
	return NULL;
}

/**
 * host_request_init - look at a command
 * @req: what will be known about it
 * @cmd: the command, at least a header
 * @len: how long it is, with what follows it
 */
void host_request_init(struct host_request *req, const void *cmd, size_t len)
{
	req->cmd = cmd;
	req->len = len;
	req->ctx = le32_to_cpu(req->cmd->ctx_id);
	req->kind = host_kind_of(le32_to_cpu(req->cmd->type));
	if (req->kind && len < req->kind->size)
		req->kind = NULL;
	if (req->kind && req->kind->res)
		req->res = le32_to_cpup(cmd + req->kind->res);
	req->response_len = sizeof(req->response.hdr);
	req->answer = VIRTIO_GPU_RESP_OK_NODATA;
}

/**
 * host_model_begin - a command has arrived
 * @model: the model
 * @req: the command
 */
void host_model_begin(struct host_model *model, struct host_request *req)
{
	host_tell_lost(model);
	if (!req->kind) {
		host_model_accuse(model, "no command 0x%x of %zu bytes",
				  le32_to_cpu(req->cmd->type), req->len);
		req->answer = VIRTIO_GPU_RESP_ERR_UNSPEC;
		return;
	}
	model->commands[req->kind - host_kinds]++;
	if (req->kind->begin)
		req->kind->begin(model, req);
}

/**
 * host_model_refuse - a command has arrived and is to be refused
 * @model: the model
 * @req: the command, of a kind that there is
 * @error: the answer
 */
void host_model_refuse(struct host_model *model, struct host_request *req,
		       u32 error)
{
	host_tell_lost(model);
	model->commands[req->kind - host_kinds]++;
	model->refused++;
	if (req->kind->refuse)
		req->kind->refuse(model, req);
	req->answer = error;
}

/**
 * host_model_finish - a command is about to be answered
 * @model: the model
 * @req: the command; afterwards with the answer
 */
void host_model_finish(struct host_model *model, struct host_request *req)
{
	if (req->answer < VIRTIO_GPU_RESP_ERR_UNSPEC && req->kind &&
	    req->kind->finish)
		req->kind->finish(model, req);
	if (req->answer >= VIRTIO_GPU_RESP_ERR_UNSPEC)
		req->response_len = sizeof(req->response.hdr);
	req->response.hdr.type = cpu_to_le32(req->answer);
}

/*
 * The whole
 */

/**
 * host_model_check - look after the guest's pages, and use those that are kept
 * @model: the model
 */
void host_model_check(struct host_model *model)
{
	struct host_resource *res;
	unsigned long id;

	xa_for_each(&model->resources, id, res)
		host_check_pages(model, res);
	list_for_each_entry(res, &model->kept, kept)
		host_touch_pages(res);
}

/**
 * host_model_holds_pages - whether host_model_check() has something to do
 * @model: the model
 *
 * Returns: true if so.
 */
bool host_model_holds_pages(const struct host_model *model)
{
	return model->pages;
}

/**
 * host_model_drop_kept - let go of resources that the driver has given up
 * @model: the model
 */
void host_model_drop_kept(struct host_model *model)
{
	struct host_resource *res, *next;

	list_for_each_entry_safe(res, next, &model->kept, kept) {
		list_del(&res->kept);
		host_free(model, res);
	}
}

static void host_reset_one(struct host_model *model, struct host_resource *res,
			   bool forget)
{
	host_check_pages(model, res);
	model->reset_alive += !res->absent;
	model->reset_lost += res->lost && !res->told;
	if (forget && !res->absent) {
		host_keep(model, res);
	} else {
		xa_erase(&model->resources, res->id);
		host_free(model, res);
	}
}

/**
 * host_model_reset - the driver has reset the device
 * @model: the model
 * @forget: do as if the host didn't know, and keep all
 *
 * From here on the driver may do with its pages as it likes.  Whether it did so
 * before is counted, not held against it: without us it does, with what is freed
 * between unplug and reset.
 */
void host_model_reset(struct host_model *model, bool forget)
{
	struct host_resource *res;
	unsigned long id;

	model->resets++;
	model->reset_alive = 0;
	model->reset_lost = 0;
	xa_for_each(&model->resources, id, res)
		host_reset_one(model, res, forget);
	model->lost = 0;
	xa_destroy(&model->contexts);
	if (!forget)
		host_model_drop_kept(model);
}

/**
 * host_model_init - set up a model that knows nothing
 * @model: the model, zeroed
 */
void host_model_init(struct host_model *model)
{
	xa_init(&model->resources);
	xa_init(&model->contexts);
	xa_init(&model->owners);
	xa_init(&model->left);
	INIT_LIST_HEAD(&model->kept);
	model->commands = kzalloc_objs(*model->commands,
				       host_nr_kinds, HOST_GFP);
}

/**
 * host_model_fini - let go of all
 * @model: the model
 */
void host_model_fini(struct host_model *model)
{
	unsigned int i;

	host_model_reset(model, false);
	xa_destroy(&model->owners);
	xa_destroy(&model->left);
	for (i = 0; i < HOST_TEXTS; i++)
		kfree(model->text[i]);
	kfree(model->commands);
}

static unsigned long host_count(struct xarray *xa)
{
	unsigned long index, n = 0;
	void *entry;

	xa_for_each(xa, index, entry)
		n++;
	return n;
}

static void host_show_resource(struct seq_file *s, struct host_resource *res,
			       const char *state)
{
	unsigned long ctx;
	void *times;

	seq_printf(s, "%u %s pages %lu bytes %llu contexts", res->id, state,
		   res->nr_pages, res->size);
	xa_for_each(&res->attached, ctx, times)
		seq_printf(s, " %lu", ctx);
	seq_putc(s, '\n');
}

/**
 * host_model_show_resources - list them, one a line
 * @model: the model
 * @s: where to
 */
void host_model_show_resources(struct host_model *model, struct seq_file *s)
{
	struct host_resource *res;
	unsigned long id;

	xa_for_each(&model->resources, id, res)
		host_show_resource(s, res, res->absent ? "refused" :
				   res->released ? "released" : "alive");
	list_for_each_entry(res, &model->kept, kept)
		host_show_resource(s, res, "kept");
}

/**
 * host_model_show_violations - how many, then the first of them
 * @model: the model
 * @s: where to
 */
void host_model_show_violations(struct host_model *model, struct seq_file *s)
{
	unsigned long i;

	seq_printf(s, "%lu\n", model->violations);
	for (i = 0; i < min(model->violations, HOST_TEXTS); i++)
		seq_printf(s, "%s\n", model->text[i]);
}

/**
 * host_model_show_stats - a number a line, after its name
 * @model: the model
 * @s: where to
 */
void host_model_show_stats(struct host_model *model, struct seq_file *s)
{
	struct host_resource *res;
	unsigned long id, alive = 0;
	unsigned int i;

	xa_for_each(&model->resources, id, res)
		alive += !res->absent;
	seq_printf(s, "alive %lu\n", alive);
	seq_printf(s, "absent %lu\n", host_count(&model->resources) - alive);
	seq_printf(s, "kept %zu\n", list_count_nodes(&model->kept));
	seq_printf(s, "contexts %lu\n", host_count(&model->contexts));
	seq_printf(s, "pages %lu\n", model->pages);
	seq_printf(s, "copied %llu\n", model->copied);
	seq_printf(s, "violations %lu\n", model->violations);
	seq_printf(s, "refused %lu\n", model->refused);
	seq_printf(s, "resets %lu\n", model->resets);
	seq_printf(s, "reset_alive %lu\n", model->reset_alive);
	seq_printf(s, "reset_lost %lu\n", model->reset_lost);
	for (i = 0; i < host_nr_kinds; i++)
		seq_printf(s, "%s %lu\n", host_kinds[i].name,
			   model->commands[i]);
}
