package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"understudy"
	"understudy/client"
	"understudy/internal/site"
)

// ChannelOptions are what Channel is asked for.
type ChannelOptions struct {
	Clients int
	Cameras int // that are taken over
	Dir     string
	Say     func(string)
}

// ChannelResult is how soon the clients of one service channel hear of a takeover, beside
// what sending them as many bytes over TLS takes a program that does nothing else.
type ChannelResult struct {
	Machine
	Clients   int     `json:"clients"`
	Cameras   int     `json:"cameras"`
	Connected float64 `json:"connected_s"` // all of them, one after another as fast as it goes
	Told      int     `json:"clients_told"`
	Wrong     int     `json:"clients_told_wrong"` // of cameras that they may not see, or not of all that they may
	ToldAfter spread  `json:"told_ms"`            // since the lease was granted
	Bytes     int64   `json:"bytes"`              // of the event, to all together
	Floor     spread  `json:"floor_ms"`           // as many bytes to as many connections over TLS
	RSS       float64 `json:"channel_rss_mib"`    // of the channel's process, the most
}

// portions are the clients' rights: each fourth sees a tenth of the cameras, the others all.
const portions = 10

const (
	benchHome = understudy.ServerID("rec1")
	// heardWithin bounds how long a client may take to hear of the takeover.
	heardWithin = 30 * time.Second
)

// Channel runs a management server and a service channel, connects so many clients
// to the channel, and takes cameras over.
func Channel(ctx context.Context, o ChannelOptions) (r ChannelResult, err error) {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	dir, err := os.MkdirTemp(o.Dir, "understudy-bench-")
	if err != nil {
		return r, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	network, release, err := site.TakeNetwork(ctx)
	if err != nil {
		return r, err
	}
	defer release()
	s, err := site.Up(ctx, site.Options{Dir: filepath.Join(dir, "site"), Network: network, Ports: [2]int{8080, 8443}, Say: o.Say})
	if err != nil {
		return r, err
	}
	defer s.Down()
	b := &channelBench{ChannelOptions: o, network: network, crowd: crowd{dir: dir, site: s, say: o.Say}, result: ChannelResult{Machine: ThisMachine(), Clients: o.Clients, Cameras: o.Cameras}}
	if b.binary, err = os.Executable(); err != nil {
		return r, err
	}
	defer b.end()
	for _, step := range []func(context.Context) error{b.furnish, b.meet, b.takeOver, b.floor} {
		if err := step(ctx); err != nil {
			return b.result, err
		}
	}
	b.result.RSS = b.rss
	return b.result, nil
}

type channelBench struct {
	ChannelOptions
	crowd
	network string
	standby *client.Client // speaks as the failover server
	tokens  []understudy.Secret
	result  ChannelResult
}

// furnish makes the servers and cameras, without any of them, and the users.
func (b *channelBench) furnish(ctx context.Context) error {
	b.Say(fmt.Sprintf("a site of %d cameras", b.Cameras))
	address := understudy.Addresses{Media: "192.0.2.1:7563", State: "192.0.2.1:11000", Merge: "192.0.2.1:5210"} // of nobody (RFC 5737)
	admin := b.site.Client
	if _, err := admin.PutFailoverServer(ctx, understudy.FailoverServer{ID: benchStandby, Addresses: address}); err != nil {
		return err
	}
	if _, err := admin.PutRecordingServer(ctx, understudy.RecordingServer{ID: benchHome, Addresses: address, HotStandby: benchStandby}); err != nil {
		return err
	}
	for n := range b.Cameras {
		if _, err := admin.PutCamera(ctx, understudy.Camera{ID: benchCamera(n), Home: benchHome, URL: fmt.Sprintf("rtsp://192.0.2.2/%d", n)}, nil); err != nil {
			return err
		}
	}
	for n := range portions + 1 {
		cameras := []understudy.CameraID{understudy.AllCameras}
		if n < portions {
			cameras = b.portion(n)
		}
		token, err := b.addUser(ctx, fmt.Sprintf("operator%d", n), cameras)
		if err != nil {
			return err
		}
		b.tokens = append(b.tokens, token)
	}
	var err error
	b.standby, err = b.asServer(benchStandby, understudy.RoleFailover)
	return err
}

// meet starts the channel and connects all clients.
func (b *channelBench) meet(ctx context.Context) error {
	if err := b.startChannel(ctx, b.network+"100"); err != nil {
		return err
	}
	took, err := b.connect(ctx, b.Clients, func(n int) caller { return caller{token: b.tokens[b.rights(n)]} })
	b.result.Connected = round(took.Seconds())
	return err
}

// portion is a tenth of the cameras.
func (b *channelBench) portion(n int) (cameras []understudy.CameraID) {
	for c := n; c < b.Cameras; c += portions {
		cameras = append(cameras, benchCamera(c))
	}
	return cameras
}

// rights of a client: one of the portions, or portions itself for all cameras.
func (b *channelBench) rights(n int) int {
	if n%4 == 0 {
		return n / 4 % portions
	}
	return portions
}

// takeOver grants all cameras to the failover server, and waits until every client has heard of it.
func (b *channelBench) takeOver(ctx context.Context) error {
	b.Say(fmt.Sprintf("a takeover of %d cameras", b.Cameras))
	claim := understudy.Claim{ID: "bench-claim-1", Claimant: benchStandby, Home: benchHome, Kind: understudy.ClaimTakeover, Sentence: "rec1 is gone, says the benchmark"}
	for n := range b.Cameras {
		claim.Cameras = append(claim.Cameras, understudy.CameraEpoch{Camera: benchCamera(n), Epoch: 1})
	}
	var group sync.WaitGroup
	for _, c := range b.clients {
		group.Go(func() { c.await(time.Now().Add(heardWithin)) })
	}
	if err := sleep(ctx, time.Second); err != nil { // until all of them wait
		return err
	}
	answer, err := b.standby.Claim(ctx, claim)
	if err != nil {
		return err
	}
	if len(answer.Granted) != b.Cameras {
		return understudy.Errorf(understudy.CodeInternal, "%d of %d cameras were granted", len(answer.Granted), b.Cameras)
	}
	group.Wait()
	return errors.Join(b.sample(), b.judge(answer.Granted[0].Since))
}

// judge looks at what each client was told.
func (b *channelBench) judge(granted time.Time) error {
	seen := map[uint64]bool{} // by the text's hash: right or not
	var times []time.Duration
	for n, c := range b.clients {
		if c.event == nil {
			continue
		}
		b.result.Told++
		b.result.Bytes += int64(len(c.event))
		times = append(times, c.heard.Sub(granted))
		key := c.sum() + uint64(b.rights(n))
		right, known := seen[key]
		if !known {
			var e understudy.Event
			if err := json.Unmarshal(c.event, &e); err != nil {
				return err
			}
			right = slices.Equal(leased(e), b.visible(b.rights(n)))
			seen[key] = right
		}
		if !right {
			b.result.Wrong++
		}
	}
	b.result.ToldAfter = spreadOf(times)
	return nil
}

func (b *channelBench) visible(rights int) []understudy.CameraID {
	var cameras []understudy.CameraID
	if rights < portions {
		cameras = b.portion(rights)
	} else {
		for n := range b.Cameras {
			cameras = append(cameras, benchCamera(n))
		}
	}
	slices.Sort(cameras)
	return cameras
}

// leased are the cameras whose leases an event changes, by id.
func leased(e understudy.Event) (cameras []understudy.CameraID) {
	for _, c := range e.Changes {
		if c.Lease != nil {
			cameras = append(cameras, c.Lease.Camera)
		}
	}
	slices.Sort(cameras)
	return cameras
}

// Print writes the result as a table.
func (r ChannelResult) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "machine\t%s\n", r.Machine.Machine)
	fmt.Fprintf(t, "clients of one channel\t%d, connected in %.1f s\n", r.Clients, r.Connected)
	fmt.Fprintf(t, "told of a takeover of %d cameras\t%d, %d of them wrongly\n", r.Cameras, r.Told, r.Wrong)
	fmt.Fprintf(t, "after\t%.0f ms, the last %.0f ms\n", r.ToldAfter.Median, r.ToldAfter.Most)
	fmt.Fprintf(t, "as many bytes (%.0f MB) over TLS by itself\t%.0f ms, the last %.0f ms\n", float64(r.Bytes)/1e6, r.Floor.Median, r.Floor.Most)
	fmt.Fprintf(t, "memory of the channel\t%.0f MiB\n", r.RSS)
	return t.Flush()
}
