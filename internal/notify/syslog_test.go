package notify

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"understudy"
	"understudy/internal/config"
)

var noon = time.Date(2026, 6, 1, 14, 0, 0, 123456789, time.FixedZone("CEST", 7200))

func TestAnEventAsSyslog(t *testing.T) {
	m := newMessage("Linz", []understudy.Event{
		{Seq: 7, At: noon, Kind: understudy.EventTakeover, Server: "fo1", Actor: "server:fo1", Sentence: "fo1 took over 4 cameras.", Hash: "ab12"},
		{Seq: 8, At: noon, Kind: understudy.EventCamera, Camera: "lobby", Actor: "server:rec1", Sentence: "Camera lobby is lost."},
		{Seq: 9, At: noon, Kind: understudy.EventConfig, Actor: `user:a\"b]`, From: "10.0.0.7", Sentence: "Die Kamera „Tür“ wurde\r\ngeändert."},
		{Seq: 10, At: noon, Kind: understudy.EventAccess},
	}, 12)
	want := []string{
		`<106>1 2026-06-01T12:00:00.123456Z vms1 understudy - takeover [understudy@32473 site="Linz" seq="7" kind="takeover" server="fo1" actor="server:fo1" hash="ab12"] fo1 took over 4 cameras.`,
		`<108>1 2026-06-01T12:00:00.123456Z vms1 understudy - camera [understudy@32473 site="Linz" seq="8" kind="camera" camera="lobby" actor="server:rec1"] Camera lobby is lost.`,
		`<110>1 2026-06-01T12:00:00.123456Z vms1 understudy - config [understudy@32473 site="Linz" seq="9" kind="config" actor="user:a\\\"b\]" address="10.0.0.7"] ` + "\ufeff" + `Die Kamera „Tür“ wurde  geändert.`,
		`<110>1 2026-06-01T12:00:00.123456Z vms1 understudy - access [understudy@32473 site="Linz" seq="10" kind="access"]`,
		`<108>1 2026-06-01T12:00:00.123456Z vms1 understudy - dropped [understudy@32473 site="Linz" dropped="12"] 12 events were not sent to this syslog server: the log had forgotten them before it took them.`,
	}
	got := syslogMessages("vms1", m, noon, maxFrame)
	if len(got) != len(want) {
		t.Fatalf("%d messages, want %d", len(got), len(want))
	}
	for i, text := range got {
		if string(text) != want[i] {
			t.Errorf("got  %s\nwant %s", text, want[i])
		}
	}
}

func TestALongSentenceIsCut(t *testing.T) {
	m := newMessage("Linz", []understudy.Event{{Seq: 7, At: noon, Kind: understudy.EventStorage, Sentence: strings.Repeat("é", 5000)}}, 0)
	for _, limit := range []int{maxDatagram, maxFrame} {
		text := string(syslogMessages("vms1", m, noon, limit)[0])
		if len(text) > limit || len(text) < limit-1 || !utf8.ValidString(text) || !strings.HasSuffix(text, "é…") {
			t.Errorf("%d bytes of %d, ending %q", len(text), limit, text[len(text)-6:])
		}
	}
}

// rfc5424 is the ABNF of RFC 5424 §6, as far as we write it.
var (
	rfc5424 = regexp.MustCompile(`^<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) \[understudy@32473((?: [a-z]+="(?:[^"\\\]]|\\["\\\]])*")*)\]( [^\x00-\x1f\x7f]*)?$`)
	param   = regexp.MustCompile(` ([a-z]+)="((?:[^"\\\]]|\\["\\\]])*)"`)
	escaped = regexp.MustCompile(`\\(["\\\]])`)
)

// isOf reports whether a text is a whole one, or the beginning of it that shows that it was cut.
func isOf(text, whole string) bool {
	begin, cut := strings.CutSuffix(text, "…")
	return text == whole || cut && strings.HasPrefix(whole, begin)
}

func FuzzASyslogMessage(f *testing.F) {
	f.Add("vms1", "Linz", "user:ada", "10.0.0.7", "Camera lobby is lost.", false)
	f.Add("", `"]\`, strings.Repeat(`]`, 500), "::1\n", "\ufeff\r\n<13>1 - - - - - - \xff", true)
	f.Add("a b\x00", strings.Repeat("é", 500), strings.Repeat(`\`, 241), strings.Repeat("\u2028", 90), strings.Repeat("\U0001f600", 4000), true)
	f.Fuzz(func(t *testing.T, host, site, actor, from, sentence string, datagram bool) {
		limit := maxFrame
		if datagram {
			limit = maxDatagram
		}
		id := strings.Repeat("x", 63)
		m := newMessage(site, []understudy.Event{{Seq: 1<<64 - 1, At: noon, Kind: understudy.EventIncident, Server: understudy.ServerID(id), Camera: understudy.CameraID(id),
			Actor: actor, From: from, Sentence: sentence, Hash: strings.Repeat("a", 64)}}, 1<<64-1)
		all := syslogMessages(host, m, noon, limit)
		if len(all) != 2 {
			t.Fatalf("%d messages of one event and what was dropped", len(all))
		}
		for _, text := range all {
			if len(text) > limit || !utf8.Valid(text) {
				t.Fatalf("%d bytes of UTF-8 (%v), at most %d", len(text), utf8.Valid(text), limit)
			}
			if !rfc5424.Match(text) {
				t.Fatalf("no message of RFC 5424: %q", text)
			}
		}
		values := map[string]string{}
		for _, p := range param.FindAllStringSubmatch(rfc5424.FindStringSubmatch(string(all[0]))[7], -1) {
			values[p[1]] = escaped.ReplaceAllString(p[2], "$1")
		}
		for name, is := range map[string]string{"site": site, "actor": actor, "address": from} {
			if got := values[name]; !isOf(got, oneLine(is)) {
				t.Fatalf("%s is %q, want %q", name, got, is)
			}
		}
	})
}

// receiver is a syslog server as far as connections go: of each on which something is said it does
// what the test says, and then closes it; end ends all.
func receiver(t *testing.T, serve func(conn net.Conn, first []byte, end func())) config.Target {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	life, end := context.WithCancel(context.Background())
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(life, func() { conn.Close() })
			conns.Go(func() {
				defer conn.Close()
				first := make([]byte, 10)
				if _, err := io.ReadFull(conn, first); err == nil {
					serve(conn, first, end)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		end()
		conns.Wait()
	})
	return config.Target{Name: "siem", Syslog: "tcp://" + l.Addr().String()}
}

func twoEvents(t *testing.T, ctx context.Context, c config.Target) error {
	t.Helper()
	s, err := newCollector(c)
	if err != nil {
		t.Fatal(err)
	}
	return s.send(ctx, newMessage("Linz", []understudy.Event{{Seq: 1, At: noon, Sentence: "one"}, {Seq: 2, At: noon, Sentence: "zwölf"}}, 0))
}

// TestFramesAreCounted: a reader that knows nothing but the lengths finds each message.
func TestFramesAreCounted(t *testing.T) {
	got := make(chan string, 1)
	c := receiver(t, func(conn net.Conn, first []byte, _ func()) {
		all, err := io.ReadAll(conn)
		if err != nil {
			t.Errorf("%v", err)
		}
		got <- string(first) + string(all)
	})
	if err := twoEvents(t, t.Context(), c); err != nil {
		t.Fatal(err)
	}
	rest, ends := <-got, []string{"] one", "] \ufeffzwölf"}
	for _, end := range ends {
		var length int
		if _, err := fmt.Sscanf(rest, "%d ", &length); err != nil {
			t.Fatalf("no length in %q", rest)
		}
		_, rest, _ = strings.Cut(rest, " ")
		if text := rest[:length]; !rfc5424.MatchString(text) || !strings.HasSuffix(text, end) {
			t.Errorf("%q is no message that ends with %q", text, end)
		}
		rest = rest[length:]
	}
	if rest != "" {
		t.Errorf("then came %q", rest)
	}
}

// TestWhatWasNotReadWasNotTold: a server that ends a connection with something unread, one that ends
// itself when it has read all and has written nothing down, and one that hangs.
func TestWhatWasNotReadWasNotTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	for want, serve := range map[string]func(net.Conn, []byte, func()){
		"connection reset": func(net.Conn, []byte, func()) {},
		"perhaps itself": func(conn net.Conn, _ []byte, end func()) {
			_, _ = io.Copy(io.Discard, conn)
			end()
		},
		"did not close the connection": func(conn net.Conn, _ []byte, _ func()) {
			_, _ = io.Copy(io.Discard, conn)
			cancel() // as the end of patience does
			_, _ = conn.Read(make([]byte, 1))
			<-t.Context().Done()
		},
	} {
		of := t.Context()
		if strings.Contains(want, "did not close") {
			of = ctx
		}
		if err := twoEvents(t, of, receiver(t, serve)); understudy.CodeOf(err) != understudy.CodeUnavailable || !strings.Contains(err.Error(), "did not take what was sent") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestALogIsToldWhole: of a storm, and of what happened while the syslog server was away, a restart
// notwithstanding, nothing is left out but what the log has forgotten; and nobody waits a minute for it.
func TestALogIsToldWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, in, folder := newLog(), &inbox{begun: time.Now()}, t.TempDir()
		c := config.Target{Syslog: "tls://siem.example.com:6514"}
		n, stop := start(t, c, log, folder, in)
		add := func(events int) {
			for range events {
				log.add(understudy.EventAccess, fmt.Sprint(len(log.events)+1))
			}
		}
		add(1200)
		time.Sleep(10 * time.Second)
		in.require(t, "2: Understudy Linz: 1 (and 499 more)", "4: Understudy Linz: 501 (and 499 more)", "6: Understudy Linz: 1001 (and 199 more)")
		in.setAway(true)
		add(700)
		time.Sleep(time.Hour)
		if c := n.Counts()[0]; c.Waiting != maxWaiting || c.Dropped != 0 {
			t.Errorf("while it is away: %+v", c)
		}
		stop() // while there is no room
		add(100)
		in.setAway(false)
		_, stop = start(t, c, log, folder, in)
		time.Sleep(time.Minute)
		in.require(t, "3612: Understudy Linz: 1201 (and 499 more)", "3614: Understudy Linz: 1701 (and 299 more)")
		stop()

		add(60)
		log.forgot = 2050
		n, stop = start(t, c, log, folder, in)
		time.Sleep(time.Minute)
		in.require(t, "3672: Understudy Linz: 2051 (and 59 more)")
		if c := n.Counts()[0]; c.Dropped != 50 || in.last.Dropped != 50 {
			t.Errorf("of 50 that are forgotten: %+v", c)
		}
		stop()
	})
}

// during is a sender during which something happens.
type during func()

func (d during) send(context.Context, message) error { d(); return nil }

// TestWhatIsToldIsOfTheLogThatWaits: an event of a restored log that came while those of the log
// before were sent is gone on with under the name of its own log.
func TestWhatIsToldIsOfTheLogThatWaits(t *testing.T) {
	target, err := newTarget("Linz", config.Target{Name: "siem", Syslog: "udp://siem.example.com:514"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	take := func(stream string, seq uint64) {
		if err := target.take(t.Context(), understudy.Update{Cursor: understudy.Cursor{Stream: stream, Seq: seq}, Event: &understudy.Event{Seq: seq}}); err != nil {
			t.Fatal(err)
		}
	}
	take("before", 70)
	target.sender = during(func() { take("restored", 51) })
	if err := target.tell(t.Context()); err != nil {
		t.Fatal(err)
	}
	if at := target.delivered(); at != (understudy.Cursor{Stream: "restored", Seq: 50}) {
		t.Errorf("told up to %s, want restored:50", at)
	}
}

// TestWhatWasDroppedIsToldAfterARestart: it is known again from where the target was told.
func TestWhatWasDroppedIsToldAfterARestart(t *testing.T) {
	for kind, c := range map[string]config.Target{"news": {}, "whole": {Syslog: "udp://siem.example.com:514", Kinds: []string{"takeover"}}} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, in, folder := newLog(), &inbox{begun: time.Now()}, t.TempDir()
				_, stop := start(t, c, log, folder, in)
				stop()
				for range 10 {
					log.add(understudy.EventTakeover, "forgotten")
				}
				log.add(understudy.EventAccess, "which nobody wants")
				log.forgot = 10
				in.setAway(true)
				_, stop = start(t, c, log, folder, in)
				time.Sleep(time.Minute)
				stop()
				in.setAway(false)
				_, stop = start(t, c, log, folder, in)
				time.Sleep(time.Minute)
				stop()
				_, stop = start(t, c, log, folder, in)
				time.Sleep(time.Minute)
				stop()
				in.require(t, map[string]string{"news": "62: Understudy Linz: 11 events", "whole": "62: Understudy Linz: 10 events"}[kind])
			})
		})
	}
}
