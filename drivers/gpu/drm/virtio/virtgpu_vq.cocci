// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_vq.c: the host's answers that recycling waits for, and the commands
// by which it may write to the guest's pages.

@released@
@@
virtio_gpu_cmd_unref_cb(...)
{
...
-virtio_gpu_cleanup_object(bo);
+virtio_gpu_recycle_released(vgdev, vbuf, bo);
...
}

@refused@
@@
virtio_gpu_dequeue_ctrl_func(...)
{
<...
cmd = virtio_gpu_vbuf_ctrl_hdr(entry);
+virtio_gpu_recycle_host_error(vgdev, cmd);
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
