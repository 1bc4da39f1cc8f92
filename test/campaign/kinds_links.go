package main

import "time"

var linkKinds = []kind{
	{
		name: "cut-rec-fo", does: "recording and failover server cannot reach each other for 6 s; the management server sees both",
		modes: everyMode, never: true, acts: []act{cut(rec, fo), pause(6 * time.Second), mend()},
	},
	{
		name: "cut-rec-fo-far", does: "recording and failover server cannot reach each other for 6 s; the management server, 90 ms away, sees both, and is late to tell",
		modes: everyMode, never: true, acts: []act{lengthen(mgt, 90*time.Millisecond, 0), pause(2 * time.Second), cut(rec, fo), pause(6 * time.Second), mend()},
	},
	{
		name: "cut-rec-to-fo", does: "nothing passes from the recording to the failover server for 6 s, the other way it does",
		modes: hotOnly, never: true, acts: []act{cutOneWay(rec, fo), pause(6 * time.Second), mend()},
	},
	{
		name: "cut-fo-to-rec", does: "nothing passes from the failover to the recording server for 6 s, the other way it does",
		modes: hotOnly, never: true, acts: []act{cutOneWay(fo, rec), pause(6 * time.Second), mend()},
	},
	{
		name: "cut-rec-mgt", does: "recording and management server cannot reach each other for 6 s",
		modes: hotOnly, never: true, acts: []act{cut(rec, mgt), pause(6 * time.Second), mend()},
	},
	{
		name: "cut-rec-to-mgt", does: "nothing passes from the recording to the management server for 6 s, the other way it does",
		modes: hotOnly, never: true, acts: []act{cutOneWay(rec, mgt), pause(6 * time.Second), mend()},
	},
	{
		name: "cut-fo-mgt", does: "failover and management server cannot reach each other for 6 s",
		modes: everyMode, never: true, acts: []act{cut(fo, mgt), pause(6 * time.Second), mend()},
	},
	{
		name: "cut-rec-cameras", does: "the recording server reaches none of its cameras any more, all others do; mended after the takeover",
		modes: hotOnly, acts: []act{strike(takeover, sick, every, cut(rec, "cam1"), cut(rec, "cam2"), records(fo)), pause(2 * time.Second), mend(), records(rec)},
	},
	{
		name: "cut-rec-camera", does: "the recording server does not reach one of its cameras any more, all others do; mended",
		modes: hotOnly, acts: []act{strike(takeover, sick, of("cam1"), cut(rec, "cam1"), records(fo, "cam1")), pause(2 * time.Second), mend(), records(rec)},
	},
	{
		name: "cut-camera-to-rec", does: "nothing passes from one camera to the recording server, the other way it does; mended",
		modes: hotOnly, acts: []act{strike(takeover, sick, of("cam1"), cutOneWay("cam1", rec), records(fo, "cam1")), pause(2 * time.Second), mend(), records(rec)},
	},
	{
		name: "cut-fo-cameras", does: "the failover server reaches no camera for 6 s",
		modes: everyMode, never: true, acts: []act{cut(fo, "cam1"), cut(fo, "cam2"), pause(6 * time.Second), mend()},
	},
	{
		name: "cut-client-rec", does: "the client does not reach the recording server for 6 s",
		modes: hotOnly, never: true, acts: []act{cut(oracle, rec), pause(6 * time.Second), mend()},
	},
	{
		name: "isolated", does: "the recording server reaches its cameras and nobody else; mended after the takeover",
		modes: everyMode, acts: []act{isolate(rec, "cam1", "cam2"), records(fo), pause(3 * time.Second), mend()},
	},
	{
		name: "cable-rec", does: "the recording server's cable is out until after the takeover",
		modes: everyMode, acts: []act{strike(takeover, silent, every, pull(rec, false), records(fo)), pause(2 * time.Second), pull(rec, true), records(rec)},
	},
	{
		name: "cable-fo", does: "the failover server's cable is out for 6 s",
		modes: everyMode, never: true, acts: []act{pull(fo, false), pause(6 * time.Second), pull(fo, true)},
	},
	{
		name: "cable-flaps", does: "the recording server's cable is out for 0.4 s, six times",
		modes: hotOnly, never: true, acts: []act{wiggle(), wiggle(), wiggle(), wiggle(), wiggle(), wiggle()},
	},
	{
		name: "split", does: "recording, management server and cameras on one side, the failover server alone on the other, for 6 s",
		modes: everyMode, never: true, acts: []act{isolate(fo), pause(6 * time.Second), mend()},
	},
	{
		name: "mgt-alone", does: "the management server reaches nobody for 6 s",
		modes: everyMode, never: true, acts: []act{isolate(mgt, oracle), pause(6 * time.Second), mend()},
	},
	{
		name: "loss-5", does: "5 % of the packets from and to the recording server are lost for 8 s",
		modes: everyMode, never: true, acts: []act{loseAll(5), pause(8 * time.Second), mend()},
	},
	{
		name: "loss-30", does: "30 % of the packets between recording and failover server are lost for 8 s",
		modes: hotOnly, never: true, acts: []act{lose(rec, fo, 30), pause(8 * time.Second), mend()},
	},
	{
		name: "merge-loss-30", does: "the recording server is killed and started again, and 30 % of the packets are lost while footage goes home",
		modes: everyMode, acts: []act{strike(takeover, fast, every, kill(rec), records(fo)), lose(rec, fo, 30), backHome(), pause(8 * time.Second), mend()},
	},
	{
		name: "delay", does: "each packet from and to the recording server is 100 to 200 ms under way, for 8 s",
		modes: everyMode, never: true, acts: []act{lengthen(rec, 100*time.Millisecond, 100*time.Millisecond), pause(8 * time.Second), mend()},
	},
	{
		name: "slow-merge", does: "the recording server is killed and started again, and the failover server sends 1 Mbit/s at most while footage goes home",
		modes: everyMode, acts: []act{strike(takeover, fast, every, kill(rec), records(fo)), limit(fo, "1mbit"), backHome(), pause(6 * time.Second), limit(fo, "")},
	},
	{
		name: "cut-merge", does: "the recording server is killed and started again, and cut from the failover server for 3 s while footage goes home",
		modes: everyMode, mergeRate: slowMerge, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(3 * time.Second), start(rec), records(rec), holds(rec),
			moment(0, time.Second), cut(rec, fo), pause(3 * time.Second), mend(),
		},
	},
}

func loseAll(percent int) act {
	return all(lose(rec, mgt, percent), lose(rec, fo, percent), lose(rec, "cam1", percent), lose(rec, "cam2", percent), lose(rec, oracle, percent))
}

func wiggle() act {
	return all(pull(rec, false), pause(400*time.Millisecond), pull(rec, true), pause(1200*time.Millisecond))
}
