package main

import "time"

var diskKinds = []kind{
	diskKind("disk-full", "fail ENOSPC", "is full"),
	diskKind("disk-fails", "fail EIO", "answers each change with an error"),
	diskKind("disk-readonly", "fail EROFS", "takes no changes any more"),
	diskKind("disk-hangs", "hang", "answers nothing any more"),
	{
		name: "disk-unmounted", does: "the recording server's disk is unmounted under it, and mounted again after the takeover",
		modes: everyMode, mounted: true, segment: "4s", acts: []act{strike(takeover, sick, every, mounted(false), records(fo)), pause(2 * time.Second), mounted(true)},
	},
	{
		name: "disk-replaced", does: "the recording server is killed, and comes back after the takeover with an empty disk",
		modes: everyMode, acts: []act{strike(takeover, fast, every, kill(rec), records(fo)), forget(), wipe(rec), backHome()},
	},
	{
		name: "disk-replaced-in-merge", does: "the recording server is killed while footage comes home, and comes back with an empty disk",
		modes: everyMode, mergeRate: slowMerge, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(3 * time.Second), start(rec), records(rec), holds(rec), moment(0, 2*time.Second),
			strike(outage, sick, every, kill(rec), wipe(rec), start(rec), records(rec)), forget(),
		},
	},
	{
		name: "disk-slow", does: "each operation of the recording server's disk takes 80 ms for 8 s",
		modes: hotOnly, never: true, disks: []string{rec}, acts: []act{onDisk(rec, "slow 80ms"), pause(8 * time.Second), onDisk(rec, "heal")},
	},
	{
		name: "disk-hangs-short", does: "the recording server's disk answers nothing for 1 s, three times",
		modes: hotOnly, never: true, disks: []string{rec}, acts: []act{gasp(rec), gasp(rec), gasp(rec)},
	},
	{
		name: "fo-disk-full", does: "the failover server's disk is full for 4 s while it stands in",
		modes: everyMode, disks: []string{fo}, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(2 * time.Second),
			strike(outage, sick, every, onDisk(fo, "fail ENOSPC"), pause(4*time.Second), onDisk(fo, "heal"), records(fo)), backHome(),
		},
	},
	{
		name: "fo-disk-fails", does: "the failover server's disk fails for 4 s while it stands in",
		modes: everyMode, disks: []string{fo}, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(2 * time.Second),
			strike(outage, sick, every, onDisk(fo, "fail EIO"), pause(4*time.Second), onDisk(fo, "heal"), records(fo)), backHome(),
		},
	},
	{
		name: "fo-disk-slow", does: "each operation of the failover server's disk takes 80 ms from before the takeover until footage goes home",
		modes: everyMode, disks: []string{fo}, acts: []act{
			onDisk(fo, "slow 80ms"), strike(takeover, silent, every, kill(rec), records(fo)), backHome(), pause(4 * time.Second), onDisk(fo, "heal"),
		},
	},
	{
		name: "merge-disk-fails", does: "the recording server's disk fails for 3 s while footage comes home",
		modes: everyMode, disks: []string{rec}, mergeRate: slowMerge, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(3 * time.Second), start(rec), records(rec), holds(rec),
			strike(takeover, sick, every, onDisk(rec, "fail EIO"), pause(3*time.Second), onDisk(rec, "heal"), records(rec)),
		},
	},
}

// slowMerge makes the way home take some seconds, in bytes a second.
const slowMerge = 300_000

// diskKind is a disk of the recording server that goes bad until after the takeover.
func diskKind(name, what, words string) kind {
	return kind{
		name: name, does: "the recording server's disk " + words + "; mended after the takeover", modes: everyMode, disks: []string{rec},
		acts: []act{strike(takeover, sick, every, onDisk(rec, what), records(fo)), pause(2 * time.Second), onDisk(rec, "heal")},
	}
}

func gasp(server string) act {
	return all(onDisk(server, "hang"), pause(time.Second), onDisk(server, "heal"), pause(1500*time.Millisecond))
}
