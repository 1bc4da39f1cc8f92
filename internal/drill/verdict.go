package drill

import (
	"fmt"
	"time"

	"understudy/internal/site"
)

// What a takeover may cost, beyond the GOP that a camera makes us wait for its
// next key frame.
const (
	decisionKill = 500 * time.Millisecond
	decisionHang = 2500 * time.Millisecond
	decisionDisk = 5 * time.Second // of a disk that may be slow only
	decisionLost = 9 * time.Second // of cameras that are seen to send here and not home
	// recordedAgain is within when a camera that can be reached is recorded, whatever else fails.
	recordedAgain = 5 * time.Second
	startUp       = 300 * time.Millisecond // decision to durable, without the GOP
	coldExtra     = time.Second            // the configuration has to come first
	resume        = 500 * time.Millisecond // durable, and told to clients, to seen by one
	// resumeAlone is for clients that nobody tells: they ask each half to whole second.
	resumeAlone = 1500 * time.Millisecond
)

// judge decides whether the drill passed and says why.
func (r *Result) judge(o Options) {
	gop := o.GOP.Milliseconds()
	extra := int64(0)
	if o.Mode == Cold {
		extra = coldExtra.Milliseconds()
	}
	planned := o.Fault == site.FaultStop
	decision := decisionKill.Milliseconds()
	switch o.Fault {
	case site.FaultHang:
		decision = decisionHang.Milliseconds()
	case site.FaultDisk:
		decision = decisionDisk.Milliseconds()
	case site.FaultCameras:
		decision = decisionLost.Milliseconds()
	}
	seen := max(r.FirstDurable.Max, r.Claim) + resume.Milliseconds()
	if o.NoManagement {
		seen = r.FirstDurable.Max + resumeAlone.Milliseconds() // the claim comes late, and must not be waited for
	}
	for _, limit := range []struct {
		ok  bool
		why string
	}{
		// In a planned stop nobody waits for the decision: home records until it is covered.
		{planned || r.Decision <= decision+extra, fmt.Sprintf("the decision took %d ms, more than %d", r.Decision, decision+extra)},
		{planned || r.FirstDurable.Max <= r.Decision+startUp.Milliseconds()+gop+extra, fmt.Sprintf(
			"a camera was durable again after %d ms, more than decision + %s + GOP", r.FirstDurable.Max, startUp)},
		{o.Fault != site.FaultCameras || r.FirstDurable.Max <= recordedAgain.Milliseconds()+gop, fmt.Sprintf(
			"a camera that was lost was durable again after %d ms, more than %s + GOP", r.FirstDurable.Max, recordedAgain)},
		{r.ClientResume.Max <= seen, fmt.Sprintf(
			"a client saw a picture again after %d ms, more than %d: the last camera was durable after %d ms, and clients were told after %d", r.ClientResume.Max, seen, r.FirstDurable.Max, r.Claim)},
		{!planned || r.GapTakeover.Max <= gop+startUp.Milliseconds(), fmt.Sprintf(
			"the planned stop left a gap of %d ms, more than GOP + %s", r.GapTakeover.Max, startUp)},
		{r.astray == "", r.astray},
		{r.LostStayed == 0, fmt.Sprintf("%d frames were lost of cameras to which nothing happened", r.LostStayed)},
		{o.Mode != Mirror || r.LostTakeover == 0, fmt.Sprintf("%d frames were lost in the takeover, under a mirror that loses none", r.LostTakeover)},
		{r.LostFailback == 0, fmt.Sprintf("%d frames were lost in the failback", r.LostFailback)},
		{r.Duplicates == 0, fmt.Sprintf("%d frames stand twice in the exported timeline", r.Duplicates)},
		{r.LostOthers == 0, fmt.Sprintf("%d frames were lost of the other server's cameras, to which nothing happened", r.LostOthers)},
		{r.LeftSegments == 0, fmt.Sprintf("%d segments are left on the failover server", r.LeftSegments)},
		{r.LineBytes <= r.MergedBytes+r.MergedBytes/50+int64(r.Cuts+r.Kills)*cutLoss, fmt.Sprintf(
			"%d bytes went over the line for %d bytes of footage: some came twice", r.LineBytes, r.MergedBytes)},
		{r.ExportedOK, "an export is incomplete"},
	} {
		if !limit.ok {
			r.Why = limit.why
			return
		}
	}
	r.Passed = true
	r.Why = fmt.Sprintf("every camera that was lost was durable again %d ms after the fault; %d frames lost in the takeover, none in the failback, none twice; all footage is home",
		r.FirstDurable.Max, r.LostTakeover)
}
