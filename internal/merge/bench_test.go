package merge_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/merge"
	"understudy/internal/storage"
)

// home is a store as footage comes home to it.
type home struct{ *storage.Store }

func (h home) Incarnation() string                          { return h.State().Incarnation }
func (home) Accept(understudy.CameraID) error               { return nil }
func (home) Expired(understudy.SegmentID, time.Time) string { return "" }
func (h home) Import(id understudy.SegmentID, size int64, sum [32]byte) (merge.Import, error) {
	return h.Store.Import(id, size, sum)
}

const (
	benchSegments = 16
	benchSamples  = 1500 // a minute
	benchPayload  = 20 << 10
)

// BenchmarkMerge moves minutes of 4 Mbit/s from one store to another over
// loopback with mutual TLS, both ends here, until all were confirmed and
// deleted, beside what the same bytes cost at least: read, over TLS, hashed.
func BenchmarkMerge(b *testing.B) {
	dir := os.Getenv("MERGE_BENCH_DIR")
	if dir == "" {
		dir = b.TempDir()
	}
	config := mutual(b)
	for range b.N {
		b.StopTimer()
		from, segments := footage(b, filepath.Join(dir, "from"))
		to := open(b, filepath.Join(dir, "to"), "rec1")
		var bytes int64
		for _, s := range segments {
			bytes += s.Size
		}
		floor := copied(b, from, segments, config)
		b.StartTimer()
		begun, busy := time.Now(), processor()
		merged(b, from, to, segments, config)
		took := time.Since(begun)
		b.StopTimer()
		b.ReportMetric((processor()-busy).Seconds()*1e9/float64(bytes), "cpu-ms/MB")
		b.ReportMetric(float64(bytes)/took.Seconds()/1e6, "MB/s")
		b.ReportMetric(float64(bytes)/floor.Seconds()/1e6, "floor-MB/s")
		if err := errors.Join(from.Close(), to.Close(), os.RemoveAll(filepath.Join(dir, "from")), os.RemoveAll(filepath.Join(dir, "to"))); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func open(tb testing.TB, dir string, server understudy.ServerID) *storage.Store {
	tb.Helper()
	s, err := storage.Open(tb.Context(), storage.Config{Folders: []storage.FolderConfig{{Dir: dir, MinFreeBytes: 1}}, Server: server})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// footage fills a store with segments of fo1.
func footage(tb testing.TB, dir string) (*storage.Store, []understudy.Segment) {
	tb.Helper()
	s := open(tb, dir, "elsewhere")
	tracks, clip := fmp4test.Clip(tb, "h264", 1)
	random := mathrand.New(mathrand.NewPCG(1, 2))
	payload := make([]byte, benchPayload)
	for i := range payload {
		payload[i] = byte(random.Uint32())
	}
	for n := range uint64(benchSegments) {
		id := understudy.SegmentID{Camera: "lobby", Epoch: 2, Holder: "fo1", Sequence: n + 1}
		start := clip[0].At.Add(time.Duration(n) * time.Minute)
		content, err := fmp4.MarshalHeader(fmp4.Header{Segment: id, Start: start}, tracks[:1])
		if err != nil {
			tb.Fatal(err)
		}
		for at := 0; at < benchSamples; at += 12 {
			var samples []fmp4.TimedSample
			for k := at; k < min(at+12, benchSamples); k++ {
				samples = append(samples, fmp4.TimedSample{Duration: 40 * time.Millisecond, Sample: &understudy.Sample{Track: understudy.VideoTrack,
					At: start.Add(time.Duration(k) * 40 * time.Millisecond), Key: k%50 == 0, Payload: payload, Hash: understudy.SampleHash{byte(k), byte(k >> 8), byte(n)}}})
			}
			fragment, err := fmp4.MarshalFragment(tracks[:1], uint32(at/12+1), start, samples)
			if err != nil {
				tb.Fatal(err)
			}
			content = append(content, fragment...)
		}
		i, err := s.Import(id, int64(len(content)), sha256.Sum256(content))
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := i.Write(content); err != nil {
			tb.Fatal(err)
		}
		if err := i.Seal(tb.Context()); err != nil {
			tb.Fatal(err)
		}
	}
	segments, err := s.Segments(tb.Context(), "lobby", clip[0].At.Add(-time.Hour), clip[0].At.Add(24*time.Hour), false)
	if err != nil || len(segments) != benchSegments {
		tb.Fatalf("%d segments, %v", len(segments), err)
	}
	return s, segments
}

func merged(tb testing.TB, from, to *storage.Store, segments []understudy.Segment, config *tls.Config) {
	tb.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		tb.Fatal(err)
	}
	receiver := &merge.Receiver{Self: "rec1", Sink: home{to}}
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() {
				if _, err := receiver.Receive(tb.Context(), conn, "fo1"); err != nil {
					tb.Error(err)
				}
			})
		}
	})
	sent, err := merge.NewBatch("fo1", "rec1", from, segments, nil, merge.SendOptions{}).Run(tb.Context(), func(context.Context) (net.Conn, error) {
		return tls.Dial("tcp", listener.Addr().String(), config)
	})
	listener.Close()
	sessions.Wait()
	if err != nil || sent.Deleted != len(segments) {
		tb.Fatalf("%+v, %v", sent, err)
	}
}

// processor is how long this process has used the processors.
func processor() time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// copied reads the segments, sends them over TLS and hashes them at the other end.
func copied(tb testing.TB, from *storage.Store, segments []understudy.Segment, config *tls.Config) time.Duration {
	tb.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		tb.Fatal(err)
	}
	defer listener.Close()
	hashed := make(chan error, 1)
	begun := time.Now()
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, err = io.CopyBuffer(sha256.New(), struct{ io.Reader }{conn}, make([]byte, 1<<20))
		}
		hashed <- err
	}()
	conn, err := tls.Dial("tcp", listener.Addr().String(), config)
	if err != nil {
		tb.Fatal(err)
	}
	for _, s := range segments {
		file, err := from.OpenSegment(tb.Context(), s.ID)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{file}, make([]byte, 1<<20)); err != nil {
			tb.Fatal(err)
		}
		file.Close()
	}
	if err := errors.Join(conn.CloseWrite(), <-hashed, conn.Close()); err != nil {
		tb.Fatal(err)
	}
	return time.Since(begun)
}

// mutual is TLS with which both ends show the same certificate.
func mutual(tb testing.TB) *tls.Config {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "both"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, RootCAs: pool, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13}
}
