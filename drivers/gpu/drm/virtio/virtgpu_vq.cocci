// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_vq.c: the host's answers that recycling waits for, the commands by
// which it may write to the guest's pages, and that none is lost or needs memory
// that is not there.

@free_vbuf@
identifier device, buffer;
@@
-static void free_vbuf(struct virtio_gpu_device *device, struct virtio_gpu_vbuffer *buffer)
+void virtio_gpu_free_vbuf(struct virtio_gpu_device *device,
+			  struct virtio_gpu_vbuffer *buffer)
{
...
}

@free_vbuf_calls@
expression list args;
@@
-free_vbuf(args)
+virtio_gpu_free_vbuf(args)

@alloc_vbufs@
@@
virtio_gpu_alloc_vbufs(...)
{
...
-return 0;
+return virtio_gpu_recycle_alloc_vbufs(vgdev);
}

@free_vbufs@
@@
virtio_gpu_free_vbufs(...)
{
+virtio_gpu_recycle_free_vbufs(vgdev);
kmem_cache_destroy(vgdev->vbufs);
...
}

@get_vbuf@
@@
virtio_gpu_get_vbuf(...)
{
<...
-kmem_cache_zalloc(vgdev->vbufs, GFP_KERNEL | __GFP_NOFAIL)
+virtio_gpu_recycle_get_vbuf(vgdev)
...>
}

@unsent@
expression idx;
@@
virtio_gpu_queue_ctrl_sgs(...)
{
<...
 if (!drm_dev_enter(vgdev->ddev, idx)) {
 ...
+virtio_gpu_recycle_unsent(vbuf);
 virtio_gpu_free_vbuf(vgdev, vbuf);
 return -ENODEV;
 }
...>
}

@put_vbuf@
@@
virtio_gpu_free_vbuf(...)
{
<...
-kmem_cache_free(vgdev->vbufs, vbuf);
+virtio_gpu_recycle_put_vbuf(vgdev, vbuf);
...>
}

@add@
identifier ret, vq, sgs, outcnt, incnt, vbuf;
@@
virtio_gpu_queue_ctrl_sgs(...)
{
<...
-ret = virtqueue_add_sgs(vq, sgs, outcnt, incnt, vbuf, GFP_ATOMIC);
-WARN_ON(ret);
+ret = virtio_gpu_recycle_add(vgdev, vbuf, sgs, outcnt, incnt);
+if (ret) {
+	spin_unlock(&vgdev->ctrlq.qlock);
+	virtio_gpu_recycle_add_failed(vgdev, vbuf, fence);
+	virtio_gpu_free_vbuf(vgdev, vbuf);
+	drm_dev_exit(idx);
+	return ret;
+}
...>
}

@ack@
@@
virtio_gpu_ctrl_ack(...)
{
<...
-schedule_work(&vgdev->ctrlq.dequeue_work);
+virtio_gpu_recycle_ack(vgdev);
...>
}

@released@
@@
virtio_gpu_cmd_unref_cb(...)
{
...
-virtio_gpu_cleanup_object(bo);
+virtio_gpu_recycle_released(vgdev, vbuf, bo);
...
}

@unreachable@
@@
virtio_gpu_cmd_unref_resource(...)
{
<...
-virtio_gpu_cleanup_object(bo);
+virtio_gpu_recycle_unreachable(bo);
...>
}

@refused@
@@
virtio_gpu_dequeue_ctrl_func(...)
{
<...
cmd = virtio_gpu_vbuf_ctrl_hdr(entry);
+virtio_gpu_recycle_host_error(vgdev, cmd, resp);
...>
}

@submit@
@@
virtio_gpu_cmd_submit(...)
{
<...
cmd_p->hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_SUBMIT_3D);
+virtio_gpu_recycle_host_writes(vgdev);
...>
}

@transfer_from_host@
@@
virtio_gpu_cmd_transfer_from_host_3d(...)
{
<...
cmd_p->hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D);
+virtio_gpu_recycle_host_writes(vgdev);
...>
}
