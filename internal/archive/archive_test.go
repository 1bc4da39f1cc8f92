package archive_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"understudy"
	"understudy/internal/archive"
	"understudy/internal/archive/archivetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, c archive.Config) *archive.Bucket {
	t.Helper()
	b, err := archive.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func content(size int) []byte {
	random := rand.New(rand.NewPCG(1, uint64(size))) //nolint:gosec // not a secret
	b := make([]byte, size)
	for i := 0; i < size; i += 8 {
		copy(b[i:], binary.NativeEndian.AppendUint64(nil, random.Uint64()))
	}
	return b
}

func put(t *testing.T, b *archive.Bucket, name string, bytesOf []byte) {
	t.Helper()
	if err := b.Put(t.Context(), name, bytes.NewReader(bytesOf), int64(len(bytesOf)), map[string]string{"Start": "2026-03-01T12:00:00Z"}); err != nil {
		t.Fatal(err)
	}
}

// The contract, over one real store: each part begins with a prefix of its own.
func TestBucket(t *testing.T) {
	gateway := archivetest.Start(t)
	for name, test := range map[string]func(*testing.T, *archivetest.Gateway, archive.Config){
		"what was put is read back whole":                    testWhole,
		"a range costs little more than the range":           testRange,
		"equal bytes are not sent twice":                     testTwice,
		"other bytes replace what was there":                 testReplace,
		"names are listed with their sizes":                  testList,
		"deleting twice is no error":                         testDelete,
		"what is not there is not found":                     testMissing,
		"a store that is away is unavailable and comes back": testAway,
		"an upload that was broken off is tidied away":       testTidy,
		"wrong keys are told, and not what they are":         testKeys,
		"a bucket that is missing is named":                  testNoBucket,
		"a bucket without a prefix":                          testNoPrefix,
	} {
		t.Run(name, func(t *testing.T) {
			c := gateway.Config
			c.Prefix = strings.ReplaceAll(name, " ", "-")
			test(t, gateway, c)
		})
	}
}

func testWhole(t *testing.T, _ *archivetest.Gateway, c archive.Config) {
	b := open(t, c)
	for _, size := range []int{1, 256 << 10, 3<<20 + 1, 40 << 20} { // the last one goes in three parts
		want := content(size)
		put(t, b, "lobby/a.mp4", want)
		r := b.Open(t.Context(), "lobby/a.mp4", int64(size))
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: read %d back, %v", size, len(got), err)
		}
		if n, err := r.(io.ReaderAt).ReadAt(make([]byte, 2), int64(size)-1); n != 1 || !errors.Is(err, io.EOF) {
			t.Errorf("a read over the end gave %d bytes, %v", n, err)
		}
		r.Close()
	}
}

func testRange(t *testing.T, g *archivetest.Gateway, c archive.Config) {
	b := open(t, c)
	want := content(8 << 20)
	put(t, b, "lobby/a.mp4", want)
	_ = b.Close() // a connection's bytes are counted when it ends
	before := g.Received()
	r := b.Open(t.Context(), "lobby/a.mp4", int64(len(want)))
	defer r.Close()
	if _, err := r.Seek(5<<20+7, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 100<<10)
	if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, want[5<<20+7:][:len(got)]) {
		t.Errorf("a range read other bytes, %v", err)
	}
	g.SetAway(true)
	defer g.SetAway(false)
	if cost := g.Received() - before; cost > 512<<10 {
		t.Errorf("a read of 100 KiB cost %d bytes", cost)
	}
}

func testTwice(t *testing.T, g *archivetest.Gateway, c archive.Config) {
	b := open(t, c)
	want := content(1 << 20)
	put(t, b, "lobby/a.mp4", want)
	file := filepath.Join(g.Dir, c.Prefix, "lobby/a.mp4")
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	put(t, b, "lobby/a.mp4", want)
	after, err := os.Stat(file)
	if err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("the object was sent again: %v, %v", after, err)
	}
}

func testReplace(t *testing.T, _ *archivetest.Gateway, c archive.Config) {
	b := open(t, c)
	put(t, b, "lobby/a.mp4", content(1000))
	want := bytes.Repeat([]byte{7}, 1000)
	put(t, b, "lobby/a.mp4", want)
	got, err := io.ReadAll(b.Open(t.Context(), "lobby/a.mp4", 1000))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the first bytes are still there: %v", err)
	}
}

func testList(t *testing.T, _ *archivetest.Gateway, c archive.Config) {
	b := open(t, c)
	for _, name := range []string{"lobby/b.mp4", "lobby/a.mp4", "lobby2/a.mp4"} {
		put(t, b, name, content(len(name)))
	}
	var names []string
	err := b.List(t.Context(), "lobby/", func(name string, size int64) error {
		if size != int64(len(name)) {
			t.Errorf("%s has %d bytes", name, size)
		}
		names = append(names, name)
		return nil
	})
	if err != nil || !slices.Equal(names, []string{"lobby/a.mp4", "lobby/b.mp4"}) {
		t.Errorf("listed %v, %v", names, err)
	}
	stop := errors.New("enough")
	if err := b.List(t.Context(), "", func(string, int64) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a list that was stopped ended with %v", err)
	}
}

func testDelete(t *testing.T, _ *archivetest.Gateway, c archive.Config) {
	b := open(t, c)
	put(t, b, "lobby/a.mp4", content(10))
	for range 2 {
		if err := b.Delete(t.Context(), "lobby/a.mp4"); err != nil {
			t.Error(err)
		}
	}
	if err := b.List(t.Context(), "", func(name string, _ int64) error { return errors.New(name + " is left") }); err != nil {
		t.Error(err)
	}
}

func testMissing(t *testing.T, _ *archivetest.Gateway, c archive.Config) {
	b := open(t, c)
	if _, err := io.ReadAll(b.Open(t.Context(), "lobby/a.mp4", 10)); understudy.CodeOf(err) != understudy.CodeNotFound {
		t.Errorf("reading what is not there: %v", err)
	}
	put(t, b, "lobby/a.mp4", content(10))
	if _, err := io.ReadAll(b.Open(t.Context(), "lobby/a.mp4", 20)); err == nil {
		t.Error("an object that is shorter than its index says was read without an error")
	}
}

func testAway(t *testing.T, g *archivetest.Gateway, c archive.Config) {
	b := open(t, c)
	want := content(2 << 20)
	put(t, b, "lobby/a.mp4", want)
	r := b.Open(t.Context(), "lobby/a.mp4", int64(len(want)))
	first := make([]byte, 1000)
	if _, err := io.ReadFull(r, first); err != nil {
		t.Fatal(err)
	}
	g.SetAway(true)
	if _, err := io.ReadAll(r); understudy.CodeOf(err) != understudy.CodeUnavailable || !strings.Contains(err.Error(), "not reachable") {
		t.Errorf("reading while the store is away: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.Put(ctx, "lobby/b.mp4", bytes.NewReader(want), int64(len(want)), nil); err == nil {
		t.Error("a put into a store that is away succeeded")
	}
	g.SetAway(false)
	rest, err := io.ReadAll(r) // the reader goes on where it was
	if err != nil || !bytes.HasSuffix(want, rest) || len(rest) == 0 {
		t.Errorf("after the store came back: %d bytes, %v", len(rest), err)
	}
}

func testTidy(t *testing.T, g *archivetest.Gateway, c archive.Config) {
	b := open(t, c)
	want := content(130 << 20)
	ctx, cancel := context.WithCancel(t.Context())
	away := func() { // so that it cannot be ended in an orderly way, as after a crash
		g.SetAway(true)
		cancel()
	}
	r := &cutShort{bytes.NewReader(want), 130<<20 + 150<<20, away} // hashed once as a whole, then in parts
	if err := b.Put(ctx, "lobby/a.mp4", r, int64(len(want)), nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("an upload that was broken off ended with %v", err)
	}
	g.SetAway(false)
	if parts(t, g) == 0 {
		t.Error("the upload left nothing that could be tidied away")
	}
	if err := b.Tidy(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if left := parts(t, g); left > 0 {
		t.Errorf("%d parts are left", left)
	}
}

// parts counts what the store holds of uploads that were never completed.
func parts(t *testing.T, g *archivetest.Gateway) (n int) {
	t.Helper()
	err := filepath.WalkDir(g.Dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(path, "/.sgwtmp/") {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// cutShort cancels after so many bytes.
type cutShort struct {
	*bytes.Reader
	left   int
	cancel func()
}

func (c *cutShort) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if c.left -= n; c.left < 0 {
		c.cancel()
	}
	return n, err
}

// WriteTo would read past the cut.
func (c *cutShort) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{c}) }

func testKeys(t *testing.T, _ *archivetest.Gateway, c archive.Config) {
	wrong := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(wrong, []byte("not-that-one"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.SecretKeyFile = wrong
	err := open(t, c).Put(t.Context(), "lobby/a.mp4", bytes.NewReader([]byte{1}), 1, nil)
	if understudy.CodeOf(err) != understudy.CodeUnavailable || !strings.Contains(err.Error(), "refuses the keys") || strings.Contains(err.Error(), "not-that-one") {
		t.Errorf("with a wrong secret: %v", err)
	}
}

func testNoBucket(t *testing.T, _ *archivetest.Gateway, c archive.Config) {
	c.Bucket = "other"
	err := open(t, c).List(t.Context(), "", func(string, int64) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "no bucket other") {
		t.Errorf("without its bucket: %v", err)
	}
}

func testNoPrefix(t *testing.T, g *archivetest.Gateway, c archive.Config) {
	c.Prefix = ""
	put(t, open(t, c), "garage/a.mp4", content(10))
	if _, err := os.Stat(filepath.Join(g.Dir, "garage/a.mp4")); err != nil {
		t.Error(err)
	}
}

// What can never work is refused at the start.
func TestConfigurationsThatCannotWorkAreRefused(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("two words"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := archive.Config{Endpoint: "https://s3.example.com", Bucket: "footage", AccessKeyFile: key, SecretKeyFile: key}
	for name, c := range map[string]archive.Config{
		"no URL":      {Endpoint: "s3.example.com", Bucket: "footage"},
		"a path":      {Endpoint: "https://s3.example.com/footage", Bucket: "footage"},
		"no bucket":   {Endpoint: good.Endpoint},
		"no key file": {Endpoint: good.Endpoint, Bucket: good.Bucket, AccessKeyFile: "/nowhere"},
		"no key":      good,
	} {
		if _, err := archive.Open(c); understudy.CodeOf(err) != understudy.CodeInvalid || strings.Contains(err.Error(), "two words") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
