package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// minio is a MinIO server of this run's own, with one drive in a directory of its
// own that goes with it.
type minio struct {
	endpoint  string
	client    *s3.Client
	process   *exec.Cmd
	directory string
}

const bucketName = "bench"

func startMinIO(ctx context.Context, binary string) (m *minio, err error) {
	binary, err = filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	directory, err := os.MkdirTemp("", "scheduler-store-bench-")
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return nil, err
	}
	user, password := rand.Text(), rand.Text()
	m = &minio{endpoint: "http://" + address, directory: directory,
		process: exec.CommandContext(ctx, binary, "server", "--quiet", "--address", address, filepath.Join(directory, "data"))}
	m.process.Env = append(os.Environ(), "MINIO_ROOT_USER="+user, "MINIO_ROOT_PASSWORD="+password, "MINIO_BROWSER=off", "MINIO_UPDATE=off", "HOME="+directory)
	if err := m.process.Start(); err != nil {
		return nil, fmt.Errorf("%w: run 'make servers'", err)
	}
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": user, "AWS_SECRET_ACCESS_KEY": password, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": ""} {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	m.client = s3.New(s3.Options{BaseEndpoint: &m.endpoint, UsePathStyle: true, Region: "us-east-1", Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(user, password, "")})
	if err := m.makeBucket(ctx); err != nil {
		m.stop()
		return nil, err
	}
	return m, nil
}

func (m *minio) makeBucket(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		_, err := m.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucketName)})
		if err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("MinIO does not answer: %w", err)
		}
	}
}

func (m *minio) stop() {
	err := m.process.Process.Kill()
	_ = m.process.Wait() // it was killed
	if err = errors.Join(err, os.RemoveAll(m.directory)); err != nil {
		fmt.Fprintln(os.Stderr, "bench: stop MinIO:", err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// url is where a store of this name is.
func (m *minio) url(name string) string {
	return "s3://" + bucketName + "/" + name + "?" + url.Values{"endpoint": {m.endpoint}, "use_path_style": {"true"}, "region": {"us-east-1"}}.Encode()
}
