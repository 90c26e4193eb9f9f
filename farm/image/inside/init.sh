#!/bin/busybox sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The first program on the board: loads modules, finds the root, does the first boot's actions, hands over.
B=/bin/busybox
$B mkdir -p /proc /sys /dev /run /newroot
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t devtmpfs dev /dev
exec >/dev/console 2>&1 </dev/console
say() { echo "farm: $*"; }
stop() { say "FAILED: $*"; echo 'farm: a shell follows; leave it to go on'; $B sh; }

while read -r module; do
  $B insmod "/modules/$module" 2>/dev/null || say "module $module does not load here"
done </modules/order

root= init=/sbin/init
for word in $($B cat /proc/cmdline); do
  case $word in root=*) root=${word#root=} ;; init=*) init=${word#init=} ;; esac
done
find_root() {
  case $root in UUID=* | LABEL=*) $B findfs "$root" 2>/dev/null ;; *) echo "$root" ;; esac
}
tries=0 device=
while device=$(find_root); [ ! -b "$device" ]; do
  tries=$((tries + 1))
  [ $tries -le 150 ] || { stop "there is no root $root; block devices: $($B ls /sys/class/block | $B xargs)"; tries=0; }
  $B usleep 200000
done
say "root is $root at $device"

# The partition is made larger before it is mounted, its file system while it is.
name=${device##*/}
if $B mount -t ext4 -o ro "$device" /newroot; then
  [ ! -e /newroot/etc/farm-first-boot ] || actions=$($B cat /newroot/etc/farm-first-boot)
  $B umount /newroot
fi
case " $actions " in *' grow-root '*)
  number=$($B cat "/sys/class/block/$name/partition")
  disk=$($B readlink -f "/sys/class/block/$name/..")
  /bin/growroot table "/dev/${disk##*/}" "$number" || say 'the partition keeps its size'
  for i in 1 2 3 4 5 6 7 8 9 10; do [ -b "$device" ] && break; $B usleep 100000; done ;;
esac
until $B mount -t ext4 -o rw "$device" /newroot; do stop "$device cannot be mounted"; done
case " $actions " in *' grow-root '*)
  /bin/growroot fs "$device" /newroot || say 'the file system keeps its size' ;;
esac

$B mount --move /proc /newroot/proc
$B mount --move /sys /newroot/sys
$B mount --move /dev /newroot/dev
case " $actions " in *' machine-id '*)
  # /dev/random waits until there is true chance; two boards never get the same name.
  $B head -c 16 /newroot/dev/random | $B hexdump -ve '1/1 "%02x"' >/newroot/etc/machine-id
  echo >>/newroot/etc/machine-id ;;
esac
case " $actions " in *' ssh-host-keys '*)
  if [ -d /newroot/etc/ssh ] && $B chroot /newroot sh -c 'command -v ssh-keygen' >/dev/null; then
    $B rm -f /newroot/etc/ssh/ssh_host_*
    $B chroot /newroot ssh-keygen -A || say 'no SSH host keys could be made'
  fi ;;
esac
if [ -n "$actions" ]; then
  $B sync
  $B rm /newroot/etc/farm-first-boot
  $B sync
  say "first boot done: $actions"
fi
exec $B switch_root /newroot "$init"
