// Package archive keeps footage in a bucket of an S3-compatible store: put and
// verified, read by ranges, listed, deleted. What lies where, and when it goes
// there, internal/storage decides.
package archive

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"understudy"
	"understudy/internal/remote"
)

// Config says which bucket, and who asks.
type Config struct {
	Endpoint string // https://host[:port]; http only where nobody can listen
	Bucket   string
	Prefix   string // of all names, one a site; empty is none
	Region   string // empty asks the store
	// AccessKeyFile and SecretKeyFile hold a key each, so that it is in no configuration and no log.
	AccessKeyFile string
	SecretKeyFile string
	CAFile        string // PEM of a private CA; empty trusts the system's
	// BytesPerSecond bounds uploads; 0 does not.
	BytesPerSecond int64
}

// How long the store may take for single steps. What moves footage waits for
// nobody else, so patience costs nothing; a viewer's window is bounded by windowTimeout.
const (
	dialTimeout   = 10 * time.Second
	answerTimeout = 30 * time.Second
	windowTimeout = 20 * time.Second
	attempts      = 3
)

// Bucket is a place in an S3-compatible store. Its methods may be called by many at once.
type Bucket struct {
	config    Config
	client    *minio.Core
	transport *http.Transport
}

// Open reads the keys. It does not ask the store, which may be away.
// CodeInvalid if the configuration can never work.
func Open(c Config) (*Bucket, error) {
	endpoint, err := url.Parse(c.Endpoint)
	if err != nil || endpoint.Scheme != "https" && endpoint.Scheme != "http" || endpoint.Host == "" || strings.Trim(endpoint.Path, "/") != "" {
		return nil, understudy.Errorf(understudy.CodeInvalid, "the archive's endpoint is a URL such as https://s3.example.com:9000, and is %q", c.Endpoint)
	}
	if c.Bucket == "" {
		return nil, understudy.Errorf(understudy.CodeInvalid, "the archive needs a bucket; create one and name it in storage.archive.bucket")
	}
	c.Prefix = strings.Trim(c.Prefix, "/")
	access, err := readKey("access_key_file", c.AccessKeyFile)
	if err != nil {
		return nil, err
	}
	secret, err := readKey("secret_key_file", c.SecretKeyFile)
	if err != nil {
		return nil, err
	}
	transport, err := newTransport(c)
	if err != nil {
		return nil, err
	}
	client, err := minio.NewCore(endpoint.Host, &minio.Options{
		Creds: credentials.NewStaticV4(access, secret, ""), Secure: endpoint.Scheme == "https", Region: c.Region,
		Transport: transport, MaxRetries: attempts,
	})
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "the archive %s/%s cannot be used as it is configured: %w", c.Endpoint, c.Bucket, err)
	}
	return &Bucket{config: c, client: client, transport: transport}, nil
}

// readKey returns what a file of a key holds. Its content is in no error.
func readKey(setting, path string) (string, error) {
	key, err := remote.Secret("storage.archive."+setting, path)
	if err != nil {
		return "", err
	}
	if key == "" || strings.ContainsAny(key, " \t\r\n") {
		return "", understudy.Errorf(understudy.CodeInvalid, "the file %s of storage.archive.%s holds one key on one line, and something else was found", path, setting)
	}
	return key, nil
}

func newTransport(c Config) (*http.Transport, error) {
	roots, err := remote.Roots("storage.archive.ca_file", c.CAFile)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: answerTimeout,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       time.Minute,
		DisableCompression:    true, // else a range of an object may come as something else
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
	}, nil
}

// Close lets go of idle connections.
func (b *Bucket) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

// String names the place, for a person.
func (b *Bucket) String() string {
	return strings.TrimSuffix(fmt.Sprintf("%s/%s/%s", strings.TrimSuffix(b.config.Endpoint, "/"), b.config.Bucket, b.config.Prefix), "/")
}

// key returns the object's name in the bucket.
func (b *Bucket) key(name string) string {
	if b.config.Prefix == "" {
		return name
	}
	return b.config.Prefix + "/" + name
}

// Delete removes an object. Deleting what is not there is no error.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	err := b.client.RemoveObject(ctx, b.config.Bucket, b.key(name), minio.RemoveObjectOptions{})
	if err = b.explain("deleting "+name, err); understudy.CodeOf(err) == understudy.CodeNotFound {
		return nil
	}
	return err
}

// List calls found with the name and size of each object whose name begins with
// under, in the order of names, until it returns an error.
func (b *Bucket) List(ctx context.Context, under string, found func(name string, size int64) error) error {
	prefix := b.key("")
	for object := range b.client.ListObjectsIter(ctx, b.config.Bucket, minio.ListObjectsOptions{Prefix: b.key(under), Recursive: true}) {
		if object.Err != nil {
			return b.explain("listing "+under, object.Err)
		}
		if err := found(strings.TrimPrefix(object.Key, prefix), object.Size); err != nil {
			return err
		}
	}
	return b.explain("listing "+under, ctx.Err())
}

// Tidy removes what uploads left that were begun before a time and never ended:
// a store keeps, and bills, such parts for ever.
func (b *Bucket) Tidy(ctx context.Context, before time.Time) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for upload := range b.client.ListIncompleteUploads(ctx, b.config.Bucket, b.key(""), true) {
		if upload.Err != nil {
			return b.explain("listing uploads that were broken off", upload.Err)
		}
		if !upload.Initiated.Before(before) {
			continue
		}
		err := b.client.AbortMultipartUpload(ctx, b.config.Bucket, upload.Key, upload.UploadID)
		if err = b.explain("ending an upload that was broken off", err); err != nil && understudy.CodeOf(err) != understudy.CodeNotFound {
			return err
		}
	}
	return nil
}

// explain makes a sentence of the store's answer: CodeNotFound if there is no
// such object, CodeUnavailable for all that may succeed later.
func (b *Bucket) explain(doing string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if _, ok := errors.AsType[*understudy.Error](err); ok {
		return err
	}
	code := minio.ToErrorResponse(err).Code
	switch code {
	case minio.NoSuchKey, "NoSuchUpload", "NotFound":
		return understudy.Errorf(understudy.CodeNotFound, "%s: the archive %s has no such object", doing, b)
	case minio.NoSuchBucket:
		return understudy.Errorf(understudy.CodeUnavailable, "%s: the archive has no bucket %s; create it at %s, or correct storage.archive.bucket", doing, b.config.Bucket, b.config.Endpoint)
	case minio.AccessDenied, "InvalidAccessKeyId", "SignatureDoesNotMatch":
		return understudy.Errorf(understudy.CodeUnavailable, "%s: the archive %s refuses the keys (%s); check storage.archive's key files and what the keys may do", doing, b, code)
	}
	return understudy.Errorf(understudy.CodeUnavailable, "%s: the archive %s is not reachable; it is tried again: %w", doing, b, err)
}
