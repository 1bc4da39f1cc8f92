// Package config reads the configuration file of each role. A key that does not
// exist is an error that names the keys that do: a misspelt setting that is
// silently ignored is found on the day of the failure.
package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"gopkg.in/yaml.v3"

	"understudy"
	"understudy/internal/remote"
)

// maxFile bounds a configuration file; a real one has a kilobyte.
const maxFile = 1 << 20

// Management configures `understudy management`.
type Management struct {
	Data  string   `yaml:"data"`  // folder for the certificate authority and its keys, and the database unless store is another
	Store string   `yaml:"store"` // DSN of the database: sqlite:FILE, postgres://… or sqlserver://…
	Hosts []string `yaml:"hosts"` // names and addresses by which people and servers reach it
	// KeyFile holds the key under which the certificate authority and its keys are sealed in the data
	// folder. Without it they lie there as they are. A name without a path is a credential of systemd.
	KeyFile string `yaml:"key_file"`
	// Peers are the addresses of the site's other management servers, https://host[:port]: members
	// are told of them.
	Peers   []string `yaml:"peers"`
	HTTP    string   `yaml:"http"`  // listen address of plain HTTP (redirect) and of servers
	HTTPS   string   `yaml:"https"` // listen address of users
	Log     string   `yaml:"log"`   // debug, info, warn or error; with json after it, JSON
	Metrics Metrics  `yaml:"metrics"`
	// Kerberos lets the users of a realm in; Grants say what they may do.
	Kerberos Kerberos `yaml:"kerberos"`
	LDAP     LDAP     `yaml:"ldap"`
	OpenID   OpenID   `yaml:"openid"`
	Grants   []Grant  `yaml:"grants"`
	Notify   Notify   `yaml:"notify"`
	// DemoControl is the address of the demo that may kill this site's servers; empty everywhere else.
	DemoControl string `yaml:"demo_control"`
}

// Channel configures `understudy channel`, a service channel in a process of its own.
type Channel struct {
	Data    string   `yaml:"data"`
	Hosts   []string `yaml:"hosts"`
	HTTP    string   `yaml:"http"`
	HTTPS   string   `yaml:"https"`
	Log     string   `yaml:"log"`
	Metrics Metrics  `yaml:"metrics"`
}

// Media configures `understudy recording` and `understudy failover`.
type Media struct {
	Data    string   `yaml:"data"`  // folder for keys, cached assignments and, unless storage.dir is set, footage
	Hosts   []string `yaml:"hosts"` // names and addresses by which clients and servers reach it
	Listen  Listen   `yaml:"listen"`
	Storage Storage  `yaml:"storage"`
	// PlainMedia allows RTSP and HTTP without TLS on the media port. A token sent in the clear can be stolen.
	PlainMedia bool `yaml:"plain_media"`
	// HoldDown is how long a recording server must be healthy before it takes its cameras back, 1 s to
	// 15 min. It doubles up to there for a server that flaps, and 0 would not.
	HoldDown time.Duration `yaml:"hold_down"`
	MQTT     MQTT          `yaml:"mqtt"`
	Metrics  Metrics       `yaml:"metrics"`
	Log      string        `yaml:"log"`
}

// Metrics configures what Prometheus reads of a role; without an address nobody does.
type Metrics struct {
	Listen string `yaml:"listen"`
	// TokenFile holds what a reader must show. Beyond this machine it is needed:
	// metrics name cameras, and tell when a server is weak.
	TokenFile string `yaml:"token_file"`
}

// MQTT configures the events that come from a broker; without a url none do.
type MQTT struct {
	URL          string  `yaml:"url"` // mqtt://host:1883 or mqtts://host:8883
	Username     string  `yaml:"username"`
	PasswordFile string  `yaml:"password_file"`
	CAFile       string  `yaml:"ca_file"` // PEM; the system's authorities unless given
	Topics       []Topic `yaml:"topics"`
}

// Topic is which messages of a broker are events, and of what.
type Topic struct {
	Topic   string `yaml:"topic"`   // + is one level, # the rest
	Camera  string `yaml:"camera"`  // an id, or {1} for what the first + stands for
	Name    string `yaml:"name"`    // of the event, with {1} as well; else the payload's
	Payload string `yaml:"payload"` // only messages that are this, such as ON
}

// Listen is the listen addresses of a recording or failover server.
type Listen struct {
	Media string `yaml:"media"`
	State string `yaml:"state"`
	Merge string `yaml:"merge"`
}

// Storage configures the media database: one folder in short, or a list of them.
type Storage struct {
	Folder  `yaml:",inline"`
	Folders []Folder      `yaml:"folders"` // never empty once it was loaded
	Segment time.Duration `yaml:"segment"` // length of a file
	// GiveUpUnmerged lets a full disk delete footage that has not gone home, of low priority first.
	GiveUpUnmerged bool    `yaml:"give_up_unmerged"`
	Archive        Archive `yaml:"archive"`
}

// Archive configures an S3-compatible store to which old footage moves; without an endpoint there is none.
type Archive struct {
	Endpoint      string `yaml:"endpoint"` // https://host[:port]
	Bucket        string `yaml:"bucket"`
	Prefix        string `yaml:"prefix"` // one a site, where several share the bucket
	Region        string `yaml:"region"`
	AccessKeyFile string `yaml:"access_key_file"`
	SecretKeyFile string `yaml:"secret_key_file"`
	CAFile        string `yaml:"ca_file"`
	MaxRate       Size   `yaml:"max_rate"` // bytes a second that go there; 0: as fast as it takes them
}

// Folder is a folder of footage, on a disk of its own.
type Folder struct {
	Dir     string `yaml:"dir"`
	MaxSize Size   `yaml:"max_size"` // 0: until min_free is reached
	MinFree Size   `yaml:"min_free"`
}

// Size is a number of bytes, written as 500GB, 64MiB or a plain number.
type Size int64

// UnmarshalYAML reads 500GB, 64MiB or a plain number of bytes.
func (s *Size) UnmarshalYAML(node *yaml.Node) error {
	n, err := humanize.ParseBytes(node.Value)
	if err != nil || n > 1<<62 {
		return fmt.Errorf("line %d: a size is written as 500GB, 64MiB or a number of bytes, found %q", node.Line, node.Value)
	}
	*s = Size(n)
	return nil
}

// LoadManagement reads and checks the file; an empty path gives the defaults.
func LoadManagement(path string) (Management, error) {
	c := Management{Data: "/var/lib/understudy/management", HTTP: address(understudy.PortHTTP), HTTPS: address(understudy.PortHTTPS), Log: "info"}
	err := load(path, &c)
	c.Store = cmp.Or(c.Store, "sqlite:"+filepath.Join(c.Data, "site.db"))
	return c, errors.Join(err, c.Kerberos.check(path, len(c.Grants)), c.OpenID.check(path, len(c.Grants)), checkListen(path, "http", c.HTTP), checkListen(path, "https", c.HTTPS), c.Metrics.check(path))
}

// LoadChannel reads and checks the file; an empty path gives the defaults.
func LoadChannel(path string) (Channel, error) {
	c := Channel{Data: "/var/lib/understudy/channel", HTTP: address(understudy.PortHTTP), HTTPS: address(understudy.PortHTTPS), Log: "info"}
	err := load(path, &c)
	return c, errors.Join(err, checkListen(path, "http", c.HTTP), checkListen(path, "https", c.HTTPS), c.Metrics.check(path))
}

// LoadMedia reads and checks the file of a recording or failover server; an empty path gives the defaults.
func LoadMedia(path string, role understudy.Role) (Media, error) {
	c := Media{
		Data:     "/var/lib/understudy/" + string(role),
		Listen:   Listen{Media: address(understudy.PortMedia), State: address(understudy.PortState), Merge: address(understudy.PortMerge)},
		Storage:  Storage{Segment: time.Minute},
		HoldDown: 10 * time.Second,
		Log:      "info",
	}
	err := load(path, &c)
	err = errors.Join(err, c.Storage.settle(path, c.Data+"/footage"))
	if c.HoldDown < time.Second || c.HoldDown > 15*time.Minute || c.Storage.Segment < time.Second {
		err = errors.Join(err, understudy.Errorf(understudy.CodeInvalid,
			"configuration %s: hold_down is 1s to 15m and storage.segment is at least 1s; found %s and %s", path, c.HoldDown, c.Storage.Segment))
	}
	return c, errors.Join(err, checkListen(path, "listen.media", c.Listen.Media),
		checkListen(path, "listen.state", c.Listen.State), checkListen(path, "listen.merge", c.Listen.Merge), c.Metrics.check(path))
}

func (m Metrics) check(path string) error {
	if m.Listen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(m.Listen)
	if err != nil {
		return checkListen(path, "metrics.listen", m.Listen)
	}
	if !remote.IsHere(host) && m.TokenFile == "" {
		return understudy.Errorf(understudy.CodeInvalid,
			"configuration %s: metrics.listen is %s, which others reach, and needs metrics.token_file; or listen on 127.0.0.1", path, m.Listen)
	}
	return nil
}

// settle makes the list of folders whole: of the short form, with what was left out.
func (s *Storage) settle(path, dir string) error {
	if len(s.Folders) > 0 && s.Folder != (Folder{}) {
		return understudy.Errorf(understudy.CodeInvalid,
			"configuration %s: storage has both dir, max_size or min_free and a list of folders; write them in the list", path)
	}
	if len(s.Folders) == 0 {
		s.Folders = []Folder{s.Folder}
		s.Folders[0].Dir = cmp.Or(s.Dir, dir)
	}
	if s.Archive != (Archive{}) && (s.Archive.Endpoint == "" || s.Archive.Bucket == "" || s.Archive.AccessKeyFile == "" || s.Archive.SecretKeyFile == "") {
		return understudy.Errorf(understudy.CodeInvalid,
			"configuration %s: storage.archive needs endpoint, bucket, access_key_file and secret_key_file", path)
	}
	seen := map[string]bool{}
	for i := range s.Folders {
		f := &s.Folders[i]
		f.Dir, f.MinFree = filepath.Clean(f.Dir), cmp.Or(f.MinFree, 1<<30)
		if f.Dir == "." || seen[f.Dir] {
			return understudy.Errorf(understudy.CodeInvalid,
				"configuration %s: each of storage.folders needs a dir of its own; number %d has %q", path, i+1, f.Dir)
		}
		seen[f.Dir] = true
	}
	return nil
}

func address(port int) string { return fmt.Sprintf(":%d", port) }

func checkListen(path, key, value string) error {
	if _, _, err := net.SplitHostPort(value); err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "configuration %s: %s is [host]:port, such as :7563 or 10.0.0.11:7563; found %q", path, key, value)
	}
	return nil
}

func load(path string, into any) error {
	if path == "" {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "the configuration file could not be opened; name one that exists with --config: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "the configuration file %s could not be read: %w", path, err)
	}
	return parse(path, text, into)
}

func parse(path string, text []byte, into any) error {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	err := decoder.Decode(into)
	if err == nil || errors.Is(err, io.EOF) {
		findCredentials(reflect.ValueOf(into).Elem(), os.Getenv("CREDENTIALS_DIRECTORY"))
		return nil
	}
	if m := unknownKey.FindStringSubmatch(err.Error()); m != nil {
		return understudy.Errorf(understudy.CodeInvalid, "configuration %s, line %s: there is no key %q; the keys are %s",
			path, m[1], m[2], strings.Join(keys(reflect.TypeOf(into).Elem(), ""), ", "))
	}
	if wrong, ok := errors.AsType[*yaml.TypeError](err); ok {
		return understudy.Errorf(understudy.CodeInvalid, "configuration %s: a value is of another kind than its key wants: %s", path, strings.Join(wrong.Errors, "; "))
	}
	return understudy.Errorf(understudy.CodeInvalid, "configuration %s is not YAML, such as `data: /srv/understudy`: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
}

var unknownKey = regexp.MustCompile(`line (\d+): field (\S+) not found`)

func keys(t reflect.Type, prefix string) []string {
	var all []string
	for field := range fields(t) {
		name := prefix + field.Tag.Get("yaml")
		if field.Type.Kind() == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct {
			all = append(all, keys(field.Type.Elem(), name+"[].")...)
			continue
		}
		if field.Type.Kind() == reflect.Struct {
			name, _ = strings.CutSuffix(name+".", ",inline.")
			all = append(all, keys(field.Type, name)...)
			continue
		}
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}
