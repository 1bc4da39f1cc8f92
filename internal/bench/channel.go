package bench

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/client"
	"understudy/internal/identity"
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
	benchHome    = understudy.ServerID("rec1")
	benchChannel = understudy.ServerID("channel1")
	// heardWithin bounds how long a client may take to hear of the takeover.
	heardWithin = 30 * time.Second
	dialAtOnce  = 64
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
	b := &channelBench{ChannelOptions: o, dir: dir, network: network, site: s, result: ChannelResult{Machine: ThisMachine(), Clients: o.Clients, Cameras: o.Cameras}}
	defer b.end()
	for _, step := range []func(context.Context) error{b.furnish, b.startChannel, b.connect, b.takeOver, b.floor} {
		if err := step(ctx); err != nil {
			return b.result, err
		}
	}
	return b.result, nil
}

type channelBench struct {
	ChannelOptions
	dir, network string
	site         *site.Site
	standby      *client.Client // speaks as the failover server
	channel      *site.Process
	address      string // host:port of the channel
	tokens       []understudy.Secret
	clients      []*channelClient
	result       ChannelResult
}

func (b *channelBench) end() {
	for _, c := range b.clients {
		c.close()
	}
	if b.channel != nil {
		_ = b.channel.Signal(os.Kill) // it may be gone already
	}
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
		u := understudy.User{Name: fmt.Sprintf("operator%d", n), Role: understudy.RoleOperator, Cameras: []understudy.CameraID{understudy.AllCameras}}
		if n < portions {
			u.Cameras = b.portion(n)
		}
		password := understudy.Secret("a password of the benchmark")
		if _, err := admin.PutUser(ctx, u, &password); err != nil {
			return err
		}
		token, err := b.token(ctx, u.Name, password)
		if err != nil {
			return err
		}
		b.tokens = append(b.tokens, token)
	}
	node, err := joinedNode(b.site.Folder(site.Management), filepath.Join(b.dir, string(benchStandby)), benchStandby, understudy.RoleFailover)
	if err != nil {
		return err
	}
	b.standby, err = client.New(client.Config{Addresses: []string{"https://" + b.site.HTTP}, TLS: node.ClientTLS})
	return err
}

// portion is a tenth of the cameras.
func (b *channelBench) portion(n int) (cameras []understudy.CameraID) {
	for c := n; c < b.Cameras; c += portions {
		cameras = append(cameras, benchCamera(c))
	}
	return cameras
}

// token is what a user shows a service channel.
func (b *channelBench) token(ctx context.Context, user string, password understudy.Secret) (understudy.Secret, error) {
	trust, err := identity.UserTLS(b.site.CA)
	if err != nil {
		return "", err
	}
	c, err := client.New(client.Config{Addresses: []string{b.site.URL}, TLS: func(understudy.ServerID) *tls.Config { return trust }})
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := c.SignIn(ctx, user, password); err != nil {
		return "", err
	}
	return c.MediaToken(ctx)
}

func (b *channelBench) startChannel(ctx context.Context) error {
	b.Say("a service channel")
	token, err := b.site.Client.CreateJoinToken(ctx, understudy.RoleChannel, benchChannel, time.Minute)
	if err != nil {
		return err
	}
	host := b.network + "100"
	b.address = host + ":8443"
	config, secret := filepath.Join(b.dir, "channel.yaml"), filepath.Join(b.dir, "join-token")
	settings := fmt.Sprintf("{data: %q, hosts: [%q], http: '%s:8080', https: %q}", filepath.Join(b.dir, "channel"), host, host, b.address)
	if err := errors.Join(os.WriteFile(config, []byte(settings), 0o600), os.WriteFile(secret, []byte(token), 0o600)); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b.channel = site.NewProcess(string(benchChannel), filepath.Join(b.dir, "channel.log"), self, "channel", "--config", config, "--join", "@"+secret)
	return b.channel.Start()
}

// connect connects all clients, and waits until each knows the site.
func (b *channelBench) connect(ctx context.Context) error {
	trust, err := identity.UserTLS(b.site.CA)
	if err != nil {
		return err
	}
	if err := b.reachable(ctx, trust); err != nil {
		return err
	}
	b.Say(fmt.Sprintf("%d clients", b.Clients))
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(dialAtOnce)
	b.clients = make([]*channelClient, b.Clients)
	for n := range b.clients {
		group.Go(func() (err error) {
			b.clients[n], err = dialChannel(ctx, b.address, trust, b.tokens[b.rights(n)])
			return err
		})
	}
	err = group.Wait()
	b.clients = slices.DeleteFunc(b.clients, func(c *channelClient) bool { return c == nil })
	b.result.Connected = round(time.Since(began).Seconds())
	return errors.Join(err, b.sample())
}

// rights of a client: one of the portions, or portions itself for all cameras.
func (b *channelBench) rights(n int) int {
	if n%4 == 0 {
		return n / 4 % portions
	}
	return portions
}

// reachable waits for the channel to have joined and to know the site.
func (b *channelBench) reachable(ctx context.Context, trust *tls.Config) error {
	for deadline := time.Now().Add(30 * time.Second); ; {
		c, err := dialChannel(ctx, b.address, trust, b.tokens[portions])
		if err == nil {
			c.close()
			return nil
		}
		if time.Now().After(deadline) {
			return understudy.Errorf(understudy.CodeUnavailable, "the service channel does not answer: %w; it said: %s", err, b.channel.LastWords())
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// sample notes how much memory the channel has now.
func (b *channelBench) sample() error {
	resident, err := site.Resident(b.channel.PID())
	b.result.RSS = math.Max(b.result.RSS, round(float64(resident)/(1<<20)))
	return err
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
