package failover

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"understudy"
)

var update = flag.Bool("update", false, "write the transcripts anew")

// TestTranscripts plays the stories of testdata and compares what Step wanted
// and said at each moment. A story is read like a log: a line that begins with
// ">" is what was observed, the lines below it are what changed by that.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts found", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("the transcript differs (go test -run Transcripts -update writes it anew); got:\n%s", got)
			}
		})
	}
}

// story plays observations and writes down what came of them.
type story struct {
	t      *testing.T
	state  State
	now    time.Duration
	set    time.Duration
	wall   bool          // this server has a wall clock
	ahead  time.Duration // and this is how far it is ahead
	last   map[string]string
	out    strings.Builder
	want   Want
	marks  map[shown]time.Duration // how far each has recorded
	frames map[understudy.CameraID]uint64
	site   understudy.Site
	duty   []understudy.Duty
	tells  bool // the management server, each second

	cameras  map[understudy.CameraID]measured
	capacity understudy.Capacity
}

// shown is a camera as a server shows it.
type shown struct {
	server understudy.ServerID
	camera understudy.CameraID
}

func play(t *testing.T, text string) string {
	s := &story{t: t, state: NewState("fo-1", "n", 2*time.Second), last: map[string]string{}, marks: map[shown]time.Duration{}, frames: map[understudy.CameraID]uint64{}, cameras: map[understudy.CameraID]measured{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "#") || line == "":
			fmt.Fprintln(&s.out, line)
		case strings.HasPrefix(line, ">"):
			fmt.Fprintln(&s.out, line)
			s.do(strings.Fields(line[1:]))
		}
	}
	return s.out.String()
}

// do runs one line: any number of "until T" lets time pass, the rest is observed now.
func (s *story) do(words []string) {
	command, args := words[0], words[1:]
	switch command {
	case "until": // until T [answers...]: ticks each 0.1 s; servers named answer each 0.25 s, all well
		s.until(parseSeconds(s.t, args[0]), args[1:])
	case "pause": // this server itself stands still
		s.now = parseSeconds(s.t, args[0])
		s.step(Observation{})
	case "duty":
		s.observeDuty(args)
	case "lease":
		s.observeLeases(args)
	case "answer":
		s.answer(args)
	case "broken", "refused", "silent", "unheard":
		kind := map[string]FailureKind{"broken": Broken, "refused": Refused, "silent": Silent, "unheard": Unheard}[command]
		began := s.now
		if len(args) > 1 {
			began = parseSeconds(s.t, args[1])
		}
		s.step(Observation{Failure: &Failure{Server: understudy.ServerID(args[0]), Kind: kind, Began: began, Why: "why"}})
	case "own":
		s.observeOwn(args)
	case "capacity":
		s.observeCapacity(args)
	case "camera":
		s.describeCamera(args)
	case "load":
		s.observeLoad(args)
	case "management": // management answers | tells | silent: it answers, and tells besides each second, of nobody
		up := args[0] != "silent"
		s.step(Observation{Reached: &up})
		if s.tells = args[0] == "tells"; s.tells {
			s.step(Observation{Status: []understudy.ServerStatus{}})
		}
	case "ahead": // this server's own wall clock is that much ahead
		s.wall, s.ahead = true, parseSeconds(s.t, args[0])
	case "clock": // the wall clocks of the watched servers are set to that much later
		s.set = parseSeconds(s.t, args[0])
	case "status": // status rec-1 2.5 stops | unwritable: as the management server saw it then, about to stop or not able to write
		seen := parseSeconds(s.t, args[1])
		state := understudy.State{Boot: "1", At: at(seen + s.set), Running: seen + time.Minute, Storage: understudy.StorageState{Writable: true}}
		switch {
		case len(args) < 3:
		case args[2] == "unwritable":
			state.Storage = understudy.StorageState{Sentence: "disk full"}
		default:
			state.Leaving = args[2]
		}
		s.step(Observation{Status: []understudy.ServerStatus{{Server: understudy.ServerID(args[0]), Reachable: true, State: &state}}})
	case "unseen": // the management server tells that it does not see a server
		s.step(Observation{Status: []understudy.ServerStatus{{Server: understudy.ServerID(args[0]), Sentence: "no answer"}}})
	case "called": // called a b: of the cameras that were called last, these answer
		s.called(args)
	case "granted", "denied":
		s.claimed(command == "granted", understudy.ServerID(args[0]), args[1:])
	case "opened": // opened rec-1 a b: the bundle of a home has come open
		b := understudy.Bundle{Home: understudy.ServerID(args[0]), Made: time.Unix(1_700_000_000, 0)}
		var cameras []understudy.AssignedCamera
		for _, c := range args[1:] {
			cameras = append(cameras, understudy.AssignedCamera{Camera: understudy.Camera{ID: understudy.CameraID(c), Home: b.Home}, Record: true})
		}
		s.step(Observation{Opened: &b, Material: cameras})
	case "order": // order fo-2 fo-1: who stands by for rec-1, and is asked in this order
		s.site.RecordingServers = []understudy.RecordingServer{{ID: "rec-1", PrimaryGroup: "g", Addresses: understudy.Addresses{State: "rec-1:11000", Merge: "rec-1:5210"}}}
		s.site.Groups = []understudy.FailoverGroup{{ID: "g"}}
		for _, id := range args {
			s.site.Groups[0].Members = append(s.site.Groups[0].Members, understudy.ServerID(id))
		}
	case "ordered": // ordered rec-1 handover=fo-1 | maintenance | nothing
		s.observeOrder(understudy.ServerID(args[0]), args[1:])
	case "resume":
		s.step(Observation{Resumed: []understudy.AssignedCamera{{
			Camera: understudy.Camera{ID: understudy.CameraID(args[0]), Home: understudy.ServerID(args[1])}, Epoch: 2, Record: true}}})
	case "proven":
		proof := s.state.held[understudy.CameraID(args[0])].proof
		s.step(Observation{Proven: &proof})
	default:
		s.t.Fatalf("no such line: %s", command)
	}
}

func at(d time.Duration) time.Time { return time.Unix(1_700_000_000, 0).Add(d) }

func parseSeconds(t *testing.T, text string) time.Duration {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(f * float64(time.Second)).Round(time.Millisecond)
}

func (s *story) until(end time.Duration, answering []string) {
	for s.now < end {
		s.now = min(s.now.Truncate(50*time.Millisecond)+50*time.Millisecond, end)
		if s.tells && s.now%time.Second == 0 {
			s.step(Observation{Status: []understudy.ServerStatus{}})
		}
		switch {
		case s.now%(250*time.Millisecond) == 0 && len(answering) > 0:
			for _, a := range answering {
				words := strings.Split(a, ",")
				s.answer(words)
			}
		case s.now%(100*time.Millisecond) == 0 || s.now == end:
			s.step(Observation{})
		}
	}
}

func (s *story) answer(args []string) {
	id := understudy.ServerID(args[0])
	state := understudy.State{Server: id, Boot: "1", At: at(s.now + s.set), Running: s.now + time.Minute, Storage: understudy.StorageState{Writable: true}}
	began, run := s.now-2*time.Millisecond, uint64(1)
	for _, word := range args[1:] {
		key, value, set := strings.Cut(word, "=")
		switch {
		case key == "asked": // asked=2.1: it was under way since then
			began = parseSeconds(s.t, value)
		case key == "run": // run=2: the recording of the cameras that follow began anew
			run = uint64(value[0] - '0')
		case key == "boot":
			state.Boot = value
		case key == "short":
			state.Short = append(state.Short, understudy.CameraID(value))
		case key == "seen": // seen=rec-1@3.2: it heard it then
			server, when, _ := strings.Cut(value, "@")
			heard := parseSeconds(s.t, when)
			state.Seen = append(state.Seen, understudy.Sighting{
				Server: understudy.ServerID(server), Boot: "1", At: at(heard + s.set), Running: heard + time.Minute, Age: s.now - heard})
		case key == "leaving":
			state.Leaving = value
		case key == "unwritable":
			state.Storage = understudy.StorageState{Sentence: "disk full"}
		case set:
			s.t.Fatalf("no such word in an answer: %s", word)
		default:
			word, epoch, _ := strings.Cut(word, "^") // a^2: under a provisional epoch
			camera := understudy.CameraID(strings.TrimRight(word, "!-?~</%+"))
			if camera == understudy.CameraID(word) {
				s.marks[shown{id, camera}] = s.now
			}
			c := understudy.CameraState{Camera: camera, Run: run, BitsPerSecond: s.cameras[camera].bits, Receiving: !strings.HasSuffix(word, "-") && !strings.HasSuffix(word, "<")}
			if epoch != "" {
				c.Epoch, c.Provisional = uint64(epoch[0]-'0'), true
			}
			if !strings.ContainsAny(word, "-/%") {
				s.frames[camera] = uint64(s.now)
			}
			c.Frames = s.frames[camera]
			if strings.HasSuffix(word, "<") { // it was recorded since the last answer, and receives nothing now
				s.marks[shown{id, camera}] = s.now - time.Second
			}
			if strings.HasSuffix(word, "/") { // it has just lost the camera, and says so
				c.Fault = "the camera refuses"
			}
			if strings.HasSuffix(word, "%") { // it has no session left for the server
				c.Crowded, c.Receiving, c.Fault = true, false, "no session left"
			}
			if strings.HasSuffix(word, "+") { // the same, and it records the second stream
				s.marks[shown{id, camera}] = s.now
				c.Crowded, c.Stream, c.Fault = true, understudy.StreamSub, "no session left"
			}
			if strings.HasSuffix(word, "?") { // it waits for an event
				c.Waiting, c.Buffered.At = true, at(s.now)
			}
			if strings.HasSuffix(word, "~") { // it will, when the time before one is there
				c.Buffered.At = at(s.now)
			}
			if m, ok := s.marks[shown{id, camera}]; ok {
				c.Watermark.At = at(m)
			}
			state.Cameras = append(state.Cameras, c)
		}
	}
	s.step(Observation{Answer: &Answer{Server: id, Began: began, State: state}})
}

// observeDuty reads "rec-1 hot 0 a b": home, standby, rank, cameras.
func (s *story) observeDuty(args []string) {
	home := understudy.ServerID(args[0])
	rank, err := strconv.Atoi(args[2])
	if err != nil {
		s.t.Fatal(err)
	}
	d := understudy.Duty{Home: understudy.RecordingServer{ID: home,
		Addresses: understudy.Addresses{State: string(home) + ":11000", Merge: string(home) + ":5210"}}}
	for _, c := range args[3:] {
		camera := s.cameras[understudy.CameraID(c)].camera
		camera.ID, camera.Home = understudy.CameraID(c), home
		d.Cameras = append(d.Cameras, understudy.StandbyCamera{Standby: understudy.Standby(args[1]), Rank: rank,
			AssignedCamera: understudy.AssignedCamera{Camera: camera, Epoch: 1, Record: camera.Failover != understudy.SupportLive}})
	}
	s.duty = append(s.duty, d)
	s.step(Observation{Duties: &s.duty})
}

// called ends the last round of calls.
func (s *story) called(answered []string) {
	o := Observation{}
	for round := range s.want.Call {
		o.Called = max(o.Called, round)
	}
	if o.Called == 0 {
		s.t.Fatalf("no camera is called at %s", s.now)
	}
	for _, c := range answered {
		o.Answered = append(o.Answered, understudy.CameraID(c))
	}
	s.step(o)
}

// observeLeases reads "a=rec-1/1 b=fo-2/3": the site, as the channel tells it.
func (s *story) observeLeases(args []string) {
	s.site.Seq++
	s.site.FailoverServers = s.failoverServers()
	s.site.Cameras, s.site.Leases = nil, nil
	for _, word := range args {
		camera, rest, _ := strings.Cut(word, "=")
		holder, number, _ := strings.Cut(rest, "/")
		epoch, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		s.site.Cameras = append(s.site.Cameras, understudy.Camera{ID: understudy.CameraID(camera)})
		s.site.Leases = append(s.site.Leases, &understudy.Lease{Camera: understudy.CameraID(camera), Holder: understudy.ServerID(holder), Epoch: epoch})
	}
	site := s.site
	s.step(Observation{Site: &site})
}

// observeOrder tells what an operator orders of a home, for good or until it orders otherwise.
func (s *story) observeOrder(home understudy.ServerID, words []string) {
	s.site.Seq++
	for _, d := range s.duty {
		if d.Home.ID != home {
			continue
		}
		r := d.Home
		for _, word := range words {
			switch key, value, _ := strings.Cut(word, "="); key {
			case "handover":
				r.HandOver = understudy.HandOver{To: understudy.ServerID(value), Since: at(s.now), By: "user:ada"}
			case "maintenance":
				r.Maintenance = understudy.Maintenance{Since: at(s.now), Until: at(s.now + time.Hour), By: "user:ada"}
			}
		}
		s.site.RecordingServers = []understudy.RecordingServer{r}
	}
	site := s.site
	s.step(Observation{Site: &site})
}

func (s *story) observeOwn(args []string) {
	own := Own{Writable: true}
	for _, word := range args {
		key, value, _ := strings.Cut(word, "=")
		for item := range strings.SplitSeq(value, ",") {
			switch key {
			case "covered":
				own.Covered = append(own.Covered, understudy.CameraID(item))
			case "crowded":
				own.Crowded = append(own.Crowded, understudy.CameraID(item))
			case "busy":
				own.Busy = append(own.Busy, understudy.CameraID(item))
			case "foreign":
				own.Foreign = append(own.Foreign, understudy.ServerID(item))
			case "unwritable":
				own.Writable = false
			}
		}
	}
	s.step(Observation{Own: &own})
}

// claimed answers the claim of a home; denied cameras are given with their leases.
func (s *story) claimed(granted bool, home understudy.ServerID, refused []string) {
	i := slices.IndexFunc(s.want.Claims, func(c understudy.Claim) bool { return c.Home == home })
	if i < 0 {
		s.t.Fatalf("no claim of %s is wanted at %s", home, s.now)
	}
	claim := s.want.Claims[i]
	answer := Claimed{ID: claim.ID, Home: home}
	for _, c := range claim.Cameras {
		lease := understudy.Lease{Camera: c.Camera, Holder: "fo-1", Epoch: c.Epoch + 1}
		if granted {
			answer.Answer.Granted = append(answer.Answer.Granted, lease)
			camera := s.cameras[c.Camera].camera
			camera.ID, camera.Home = c.Camera, home
			answer.Answer.Assignment.Cameras = append(answer.Answer.Assignment.Cameras, understudy.AssignedCamera{
				Camera: camera, Epoch: lease.Epoch, Record: camera.Failover != understudy.SupportLive})
			continue
		}
		lease.Holder, lease.Epoch = home, c.Epoch
		if len(refused) > 0 {
			lease.Holder, lease.Epoch = understudy.ServerID(refused[0]), c.Epoch+1
		}
		answer.Answer.Refused = append(answer.Answer.Refused, understudy.Refusal{Camera: c.Camera, Reason: "as the story has it", Lease: lease})
	}
	s.step(Observation{Claimed: &answer})
}

func (s *story) step(o Observation) {
	o.At = s.now
	if s.wall {
		o.Wall = at(s.now + s.ahead)
	}
	before := fmt.Sprintf("%+v", s.state)
	next, want := Step(s.state, o)
	if after := fmt.Sprintf("%+v", s.state); after != before {
		s.t.Fatalf("Step changed the state that it was given:\n%s\n%s", before, after)
	}
	s.state, s.want = next, want
	s.tell(want)
}

// lost is what a claim tells of a holder that is not heard any more.
func lost(e understudy.CameraEpoch) string {
	switch {
	case !e.Lost:
		return ""
	case e.Written.IsZero():
		return " (lost)"
	}
	return fmt.Sprintf(" (lost, last seen to record at %.2f)", e.Written.Sub(at(0)).Seconds())
}

func (s *story) tell(w Want) {
	for _, said := range w.Said {
		private := map[bool]string{true: "", false: " (log)"}[said.Public]
		fmt.Fprintf(&s.out, "%7.2f  says%s: %s\n", s.now.Seconds(), private, said.Sentence)
	}
	lines := map[string]string{"verify": fmt.Sprint(w.Verify), "record": "", "mirror": "", "claim": "", "call": "", "prove": "", "send home": "", "watch": ""}
	for _, c := range w.Record {
		lines["record"] += fmt.Sprintf(" %s/%d%s", c.Camera.ID, c.Epoch, how(c))
	}
	for _, c := range w.Mirror {
		lines["mirror"] += fmt.Sprintf(" %s/%d%s", c.Camera.ID, c.Epoch, map[bool]string{true: "", false: " (not as a mirror)"}[c.Mirror])
	}
	for _, c := range w.Claims {
		lines["claim"] += " " + c.ID
		for _, e := range c.Cameras {
			lines["claim"] += fmt.Sprintf(" %s/%d%s", e.Camera, e.Epoch, lost(e))
		}
	}
	for _, round := range slices.Sorted(maps.Keys(w.Call)) {
		for _, c := range w.Call[round] {
			lines["call"] += " " + string(c.ID)
		}
	}
	lines["short"] = strings.Trim(fmt.Sprint(w.Short), "[]")
	for _, p := range w.Prove {
		lines["prove"] += fmt.Sprintf(" %s@%s", p.Camera, p.Server)
	}
	for _, id := range sorted(w.SendHome) {
		lines["send home"] += " " + string(id)
	}
	for _, id := range w.Open {
		lines["open"] += " " + string(id)
	}
	for _, id := range sorted(w.Watch) {
		lines["watch"] += " " + string(id)
	}
	lines["verify"] = strings.TrimPrefix(strings.Trim(lines["verify"], "[]"), " ")
	for _, key := range sorted(lines) {
		value := strings.TrimSpace(lines[key])
		if value != s.last[key] {
			s.last[key] = value
			fmt.Fprintf(&s.out, "%7.2f  %s: %s\n", s.now.Seconds(), key, map[bool]string{true: "nothing", false: value}[value == ""])
		}
	}
}
