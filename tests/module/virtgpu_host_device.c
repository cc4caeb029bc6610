// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The device that the simulated host offers: a virtio GPU on a platform device.
 * Its rings hold the addresses of the guest's memory, as any virtio ring does;
 * the "IOTLB" that vringh looks them up in maps each to itself.
 */

#include <linux/completion.h>
#include <linux/dma-mapping.h>
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vhost_iotlb.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "virtgpu_host.h"

enum { HOST_CONTROL, HOST_CURSOR, HOST_QUEUES };

/* As many entries as QEMU's have. */
static const unsigned int host_ring_size[HOST_QUEUES] = { 256, 16 };

/* A command of more than that is none. */
#define HOST_COMMAND_MAX (16 << 20)

struct host_queue {
	struct virtqueue *vq;
	struct vringh vringh;
	struct irq_work interrupt;
};

struct host_device {
	struct virtio_device vdev;
	struct virtio_gpu_config config;
	struct completion *released;
	u64 features;
	u8 status;
	struct host_queue queues[HOST_QUEUES];
};

static struct {
	struct mutex lock;		/* protects all but the next two */
	struct vhost_iotlb *iotlb;
	spinlock_t iotlb_lock;		/* only because vringh takes it */
	struct platform_device *parent;
	struct host_device *device;	/* changes under host_lock too */
	u64 features;			/* of the next device */
} offered = {
	.lock = __MUTEX_INITIALIZER(offered.lock),
	.iotlb_lock = __SPIN_LOCK_UNLOCKED(offered.iotlb_lock),
};

static const struct {
	const char *name;
	unsigned int feature;
} host_features[] = {
	{ "virgl", VIRTIO_GPU_F_VIRGL },
	{ "blob", VIRTIO_GPU_F_RESOURCE_BLOB },
	{ "uuid", VIRTIO_GPU_F_RESOURCE_UUID },
	{ "context", VIRTIO_GPU_F_CONTEXT_INIT },
};

static struct host_device *to_host_device(struct virtio_device *vdev)
{
	return container_of(vdev, struct host_device, vdev);
}

/*
 * What the driver calls
 */

static void host_get(struct virtio_device *vdev, unsigned int offset, void *buf,
		     unsigned int len)
{
	struct host_device *device = to_host_device(vdev);

	if (offset + len <= sizeof(device->config))
		memcpy(buf, (u8 *)&device->config + offset, len);
}

/* The driver can only acknowledge events, and there are none. */
static void host_set(struct virtio_device *vdev, unsigned int offset,
		     const void *buf, unsigned int len)
{
}

static u8 host_get_status(struct virtio_device *vdev)
{
	return READ_ONCE(to_host_device(vdev)->status);
}

static void host_set_status(struct virtio_device *vdev, u8 status)
{
	WRITE_ONCE(to_host_device(vdev)->status, status);
	host_kick();
}

/* When this returns, the host touches neither ring nor queue. */
static void host_device_reset(struct virtio_device *vdev)
{
	struct host_device *device = to_host_device(vdev);
	unsigned int i;

	mutex_lock(&host_lock);
	WRITE_ONCE(device->status, 0);
	host_reset();
	mutex_unlock(&host_lock);
	for (i = 0; i < HOST_QUEUES; i++)
		irq_work_sync(&device->queues[i].interrupt);
}

static u64 host_get_features(struct virtio_device *vdev)
{
	return to_host_device(vdev)->features;
}

static int host_finalize_features(struct virtio_device *vdev)
{
	vring_transport_features(vdev);
	return 0;
}

static const char *host_bus_name(struct virtio_device *vdev)
{
	return "virtgpu_host";
}

/* May be called where nothing may sleep. */
static bool host_notify(struct virtqueue *vq)
{
	host_kick();
	return true;
}

static void host_interrupt(struct irq_work *work)
{
	struct host_queue *queue =
		container_of(work, struct host_queue, interrupt);

	vring_interrupt(0, queue->vq);
}

static void host_del_vqs(struct virtio_device *vdev)
{
	struct host_device *device = to_host_device(vdev);
	unsigned int i;

	for (i = 0; i < HOST_QUEUES; i++) {
		if (device->queues[i].vq)
			vring_del_virtqueue(device->queues[i].vq);
		device->queues[i].vq = NULL;
	}
}

static int host_find_vq(struct host_device *device, unsigned int i,
			const struct virtqueue_info *info)
{
	struct host_queue *queue = &device->queues[i];

	queue->vq = vring_create_virtqueue(i, host_ring_size[i], PAGE_SIZE,
					   &device->vdev, true, false,
					   info->ctx, host_notify,
					   info->callback, info->name);
	if (!queue->vq)
		return -ENOMEM;
	vringh_set_iotlb(&queue->vringh, offered.iotlb, &offered.iotlb_lock);
	return vringh_init_iotlb(&queue->vringh, device->vdev.features,
				 host_ring_size[i], true,
				 (void *)virtqueue_get_desc_addr(queue->vq),
				 (void *)virtqueue_get_avail_addr(queue->vq),
				 (void *)virtqueue_get_used_addr(queue->vq));
}

static int host_find_vqs(struct virtio_device *vdev, unsigned int nvqs,
			 struct virtqueue *vqs[],
			 struct virtqueue_info vqs_info[],
			 struct irq_affinity *desc)
{
	struct host_device *device = to_host_device(vdev);
	unsigned int i;
	int ret = 0;

	if (nvqs != HOST_QUEUES)
		return -EINVAL;
	for (i = 0; !ret && i < nvqs; i++) {
		ret = host_find_vq(device, i, &vqs_info[i]);
		vqs[i] = device->queues[i].vq;
	}
	if (ret)
		host_del_vqs(vdev);
	return ret;
}

static const struct virtio_config_ops host_config_ops = {
	.get = host_get,
	.set = host_set,
	.get_status = host_get_status,
	.set_status = host_set_status,
	.reset = host_device_reset,
	.find_vqs = host_find_vqs,
	.del_vqs = host_del_vqs,
	.get_features = host_get_features,
	.finalize_features = host_finalize_features,
	.bus_name = host_bus_name,
};

/*
 * What the host calls
 */

/**
 * host_command_free - forget a command
 * @cmd: the command, answered or not
 */
void host_command_free(struct host_command *cmd)
{
	vringh_kiov_cleanup(&cmd->out);
	kvfree(cmd->data);
	kfree(cmd);
}

static struct host_command *host_command_alloc(struct host_queue *queue)
{
	struct host_command *cmd = kzalloc_obj(*cmd, HOST_GFP);

	INIT_LIST_HEAD(&cmd->link);
	vringh_kiov_init(&cmd->out, NULL, 0);
	cmd->queue = queue;
	return cmd;
}

/* Returns false when the command can't be read. */
static bool host_command_read(struct host_command *cmd, struct vringh_kiov *in)
{
	size_t len = vringh_kiov_length(in);
	ssize_t ret;

	if (len > HOST_COMMAND_MAX)
		return false;
	/* What is shorter than a header gets a type that there is not. */
	cmd->data = kvzalloc(max(len, sizeof(struct virtio_gpu_ctrl_hdr)),
			     HOST_GFP);
	ret = vringh_iov_pull_iotlb(&cmd->queue->vringh, in, cmd->data, len);
	host_request_init(&cmd->req, cmd->data, len);
	return ret == len;
}

/**
 * host_device_fetch - get the next command from a ring
 * @model: the model, to blame a driver that spoils its ring
 * @cursor: from the cursor queue, not the control queue
 *
 * Returns: the command, or NULL if there is none.
 */
struct host_command *host_device_fetch(struct host_model *model, bool cursor)
{
	struct host_device *device = offered.device;
	struct host_queue *queue;
	struct host_command *cmd;
	struct vringh_kiov in;
	int ret;

	lockdep_assert_held(&host_lock);
	if (!device || !(READ_ONCE(device->status) & VIRTIO_CONFIG_S_DRIVER_OK))
		return NULL;
	queue = &device->queues[cursor ? HOST_CURSOR : HOST_CONTROL];
	cmd = host_command_alloc(queue);
	vringh_kiov_init(&in, NULL, 0);
	ret = vringh_getdesc_iotlb(&queue->vringh, &in, &cmd->out, &cmd->head,
				   GFP_KERNEL);
	if (ret < 0 || (ret && !host_command_read(cmd, &in))) {
		host_model_accuse(model, "the ring is spoilt (%d)", ret);
		ret = 0;
	}
	vringh_kiov_cleanup(&in);
	if (ret)
		return cmd;
	host_command_free(cmd);
	return NULL;
}

static void host_copy_fence(struct virtio_gpu_ctrl_hdr *to,
			    const struct virtio_gpu_ctrl_hdr *from)
{
	to->flags = from->flags & cpu_to_le32(VIRTIO_GPU_FLAG_FENCE |
					      VIRTIO_GPU_FLAG_INFO_RING_IDX);
	to->fence_id = from->fence_id;
	to->ctx_id = from->ctx_id;
	to->ring_idx = from->ring_idx;
}

/**
 * host_device_answer - answer a command, and free it
 * @cmd: the command, from the device that there is now
 *
 * The driver hears of it as it does from any device, in an interrupt.
 */
void host_device_answer(struct host_command *cmd)
{
	struct host_queue *queue = cmd->queue;
	ssize_t len;

	lockdep_assert_held(&host_lock);
	if (cmd->req.cmd->flags & cpu_to_le32(VIRTIO_GPU_FLAG_FENCE))
		host_copy_fence(&cmd->req.response.hdr, cmd->req.cmd);
	len = vringh_iov_push_iotlb(&queue->vringh, &cmd->out,
				    &cmd->req.response, cmd->req.response_len);
	vringh_complete_iotlb(&queue->vringh, cmd->head, max(len, 0));
	if (vringh_need_notify_iotlb(&queue->vringh) > 0)
		irq_work_queue(&queue->interrupt);
	host_command_free(cmd);
}

/*
 * Its coming and going
 */

static int host_feature_named(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(host_features); i++)
		if (!strcmp(name, host_features[i].name))
			return host_features[i].feature;
	return -EINVAL;
}

/**
 * host_device_set_features - say what the next device can do
 * @names: of features, with spaces or commas in between; "2d": none
 *
 * Returns: 0 or -EINVAL.
 */
int host_device_set_features(char *names)
{
	u64 features = 0;
	char *name;
	int feature;

	while ((name = strsep(&names, " ,\n"))) {
		if (!*name || !strcmp(name, "2d"))
			continue;
		feature = host_feature_named(name);
		if (feature < 0)
			return feature;
		features |= BIT_ULL(feature);
	}
	mutex_lock(&offered.lock);
	offered.features = features;
	mutex_unlock(&offered.lock);
	return 0;
}

/**
 * host_device_show_features - what the next device can do
 * @s: where that goes
 */
void host_device_show_features(struct seq_file *s)
{
	unsigned int i;

	mutex_lock(&offered.lock);
	if (!offered.features)
		seq_puts(s, "2d");
	for (i = 0; i < ARRAY_SIZE(host_features); i++)
		if (offered.features & BIT_ULL(host_features[i].feature))
			seq_printf(s, "%s ", host_features[i].name);
	seq_putc(s, '\n');
	mutex_unlock(&offered.lock);
}

static void host_device_release(struct device *dev)
{
	struct host_device *device = to_host_device(dev_to_virtio(dev));
	struct completion *released = device->released;

	kfree(device);
	if (released)
		complete(released);
}

static struct platform_device *host_parent(void)
{
	static const struct platform_device_info info = {
		.name = "virtgpu_host",
		.id = PLATFORM_DEVID_NONE,
		.dma_mask = DMA_BIT_MASK(64),
	};

	return platform_device_register_full(&info);
}

static struct host_device *host_device_alloc(struct platform_device *parent)
{
	struct host_device *device;
	unsigned int i;

	device = kzalloc_obj(*device, HOST_GFP);
	device->features = offered.features | BIT_ULL(VIRTIO_F_VERSION_1) |
			   BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
	device->config.num_scanouts = cpu_to_le32(1);
	if (device->features & BIT_ULL(VIRTIO_GPU_F_VIRGL))
		device->config.num_capsets = cpu_to_le32(1);
	for (i = 0; i < HOST_QUEUES; i++)
		init_irq_work(&device->queues[i].interrupt, host_interrupt);
	device->vdev.id.device = VIRTIO_ID_GPU;
	device->vdev.id.vendor = VIRTIO_DEV_ANY_ID;
	device->vdev.config = &host_config_ops;
	device->vdev.dev.parent = &parent->dev;
	device->vdev.dev.release = host_device_release;
	return device;
}

static void host_device_set(struct host_device *device)
{
	mutex_lock(&host_lock);
	offered.device = device;
	mutex_unlock(&host_lock);
}

static int host_device_register(void)
{
	struct host_device *device;
	int ret;

	offered.iotlb = vhost_iotlb_alloc(1, 0);
	if (!offered.iotlb)
		return -ENOMEM;
	ret = vhost_iotlb_add_range(offered.iotlb, 0, ULONG_MAX / 2, 0,
				    VHOST_MAP_RW);
	if (ret)
		goto err_iotlb;
	offered.parent = host_parent();
	ret = PTR_ERR_OR_ZERO(offered.parent);
	if (ret)
		goto err_iotlb;
	device = host_device_alloc(offered.parent);
	host_device_set(device);
	ret = register_virtio_device(&device->vdev);
	if (!ret)
		return 0;

	host_device_set(NULL);
	put_device(&device->vdev.dev);
	platform_device_unregister(offered.parent);
err_iotlb:
	vhost_iotlb_free(offered.iotlb);
	return ret;
}

/**
 * host_device_add - offer a device
 *
 * Returns: 0, -EEXIST if there is one, or another negative error code.
 */
int host_device_add(void)
{
	int ret = -EEXIST;

	mutex_lock(&offered.lock);
	if (!offered.device)
		ret = host_device_register();
	mutex_unlock(&offered.lock);
	return ret;
}

/**
 * host_device_remove - take it away, from its driver too
 */
void host_device_remove(void)
{
	DECLARE_COMPLETION_ONSTACK(released);
	struct host_device *device;

	mutex_lock(&offered.lock);
	device = offered.device;
	if (device) {
		device->released = &released;
		get_device(&device->vdev.dev);
		unregister_virtio_device(&device->vdev);
		host_device_set(NULL);
		put_device(&device->vdev.dev);
		/* Whoever else has a reference needs the code above. */
		wait_for_completion(&released);
		platform_device_unregister(offered.parent);
		vhost_iotlb_free(offered.iotlb);
	}
	mutex_unlock(&offered.lock);
}
