package main

import "time"

// pairKinds are two faults at once.
var pairKinds = []kind{
	{
		name: "kill+loss-5", does: "the recording server is killed while 5 % of the packets of the failover server are lost; started again, mended in the end",
		modes: hotOnly, acts: []act{
			lose(fo, mgt, 5), lose(fo, rec, 5), lose(fo, "cam1", 5), lose(fo, "cam2", 5), pause(time.Second),
			strike(takeover, silent, every, kill(rec), records(fo)), backHome(), pause(2 * time.Second), mend(),
		},
	},
	{
		name: "hang+delay", does: "the recording server stands still while each packet of the failover server is 100 to 150 ms under way",
		modes: hotOnly, acts: []act{
			lengthen(fo, 100*time.Millisecond, 50*time.Millisecond), pause(time.Second),
			strike(takeover, silent, every, hang(rec), records(fo)), pause(2 * time.Second), resume(rec), pause(2 * time.Second), mend(),
		},
	},
	{
		name: "kill+fo-paused", does: "the failover server stands still for 2 s, and the recording server is killed meanwhile; started again",
		modes: everyMode, acts: []act{
			strike(outage, silent, every, hang(fo), pause(time.Second), kill(rec), pause(time.Second), resume(fo), records(fo)), backHome(),
		},
	},
	{
		name: "isolated+mgt", does: "the recording server reaches its cameras only, and the management server is dead; both are mended after the takeover",
		modes: everyMode, acts: []act{kill(mgt), isolate(rec, "cam1", "cam2"), records(fo), pause(2 * time.Second), mend(), start(mgt)},
	},
	{
		name: "disk+cut-mgt", does: "the recording server's disk fails while the failover server does not reach the management server; both mended",
		modes: everyMode, disks: []string{rec}, acts: []act{
			cut(fo, mgt), pause(time.Second), strike(takeover, sick, every, onDisk(rec, "fail EIO"), records(fo)), mend(), pause(time.Second), onDisk(rec, "heal"),
		},
	},
	{
		name: "kill+cut-camera", does: "the recording server is killed while the failover server does not reach a camera for 4 s; started again",
		modes: everyMode, acts: []act{
			cut(fo, "cam1"),
			strike(outage, sick, of("cam1"), strike(takeover, fast, of("cam2"), kill(rec), records(fo, "cam2")), pause(4*time.Second), mend(), records(fo, "cam1")),
			backHome(),
		},
	},
	{
		name: "site-power", does: "all servers are killed at once, and started again in any order",
		modes: everyMode, acts: []act{strike(outage, sick, every, kill(rec, fo, mgt), inAnyOrder(rec, fo, mgt), records(rec))},
	},
	{
		name: "kill+fo-killed-in-merge", does: "the recording server is killed while footage comes home, and then the failover server; both started again",
		modes: everyMode, mergeRate: slowMerge, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(3 * time.Second), start(rec), records(rec), holds(rec), moment(0, time.Second),
			strike(outage, sick, every, kill(rec), moment(0, time.Second), kill(fo), moment(0, time.Second), inAnyOrder(rec, fo), records(rec)),
		},
	},
}
