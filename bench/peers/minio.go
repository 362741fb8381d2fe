package peers

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
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/procfs"
)

// Server is a MinIO of this run's own, with one drive: a directory that goes with it.
type Server struct {
	// Client does not retry, and keeps as many connections as it has users.
	Client   *s3.Client
	endpoint string
	process  *exec.Cmd
}

const bucketName = "bench"

// StartMinIO starts the server with its drive in a directory, which must be there.
func StartMinIO(ctx context.Context, binary, directory string) (*Server, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	user, password := rand.Text(), rand.Text()
	s := &Server{endpoint: "http://" + address,
		process: exec.CommandContext(ctx, binary, "server", "--quiet", "--address", address, filepath.Join(directory, "drive"))}
	s.process.Env = append(os.Environ(), "MINIO_ROOT_USER="+user, "MINIO_ROOT_PASSWORD="+password, "MINIO_BROWSER=off", "MINIO_UPDATE=off",
		"MINIO_PROMETHEUS_AUTH_TYPE=public", "HOME="+directory)
	if err := s.process.Start(); err != nil {
		return nil, fmt.Errorf("%w: run 'make servers'", err)
	}
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": user, "AWS_SECRET_ACCESS_KEY": password, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": ""} {
		if err := os.Setenv(name, value); err != nil {
			return nil, errors.Join(err, s.Stop())
		}
	}
	s.Client = s3.New(s3.Options{BaseEndpoint: &s.endpoint, UsePathStyle: true, Region: "us-east-1", Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(user, password, ""),
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 1024 // the default of 10 would make 256 clients dial for most PUTs
		})})
	if err := s.makeBucket(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

func (s *Server) makeBucket(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		_, err := s.Client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucketName)})
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

// Stop kills the server.
func (s *Server) Stop() error {
	err := s.process.Process.Kill()
	_ = s.process.Wait()                   // it was killed
	if errors.Is(err, os.ErrProcessDone) { // by the end of the context
		return nil
	}
	return err
}

// url is where a store of this name is.
func (s *Server) url(name string) string {
	return "s3://" + bucketName + "/" + name + "?" + url.Values{"endpoint": {s.endpoint}, "use_path_style": {"true"}, "region": {"us-east-1"}}.Encode()
}

// requests says how many requests the server has had, by the name of the operation:
// its own count, so all peers are counted alike.
func (s *Server) requests(ctx context.Context) (map[string]int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint+"/minio/metrics/v3/api/requests", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return nil, fmt.Errorf("metrics of MinIO, status %s: %w", response.Status, err)
	}
	counts := map[string]int{}
	for _, m := range families["minio_api_requests_total"].GetMetric() {
		for _, label := range m.GetLabel() {
			if label.GetName() == "name" {
				counts[label.GetValue()] += int(m.GetCounter().GetValue())
			}
		}
	}
	return counts, nil
}

// cpuSeconds is the processor time that the server has used, user and system.
func (s *Server) cpuSeconds() (float64, error) {
	process, err := procfs.NewProc(s.process.Process.Pid)
	if err != nil {
		return 0, err
	}
	stat, err := process.Stat()
	if err != nil {
		return 0, err
	}
	return stat.CPUTime(), nil
}
