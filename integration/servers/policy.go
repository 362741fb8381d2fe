package servers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// WithPolicy is the server as one sees it who may do what an IAM policy says and nothing
// else, by temporary credentials (AssumeRole).
func (m *MinIO) WithPolicy(t testing.TB, policy string) *S3 {
	t.Helper()
	var answer struct {
		Result struct {
			Credentials struct{ AccessKeyId, SecretAccessKey, SessionToken string }
		} `xml:"AssumeRoleResult"`
	}
	// For a moment after it is ready MinIO knows no users yet.
	waitUntil(t, "MinIO's users", func(ctx context.Context) error {
		body, err := m.assumeRole(ctx, policy)
		if err != nil {
			return err
		}
		return xml.Unmarshal(body, &answer)
	})
	limited := m.S3
	credentials := answer.Result.Credentials
	limited.AccessKey, limited.SecretKey, limited.SessionToken = credentials.AccessKeyId, credentials.SecretAccessKey, credentials.SessionToken
	return &limited
}

func (m *MinIO) assumeRole(ctx context.Context, policy string) ([]byte, error) {
	form := url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "DurationSeconds": {"3600"}, "Policy": {policy}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Endpoint+"/", strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256([]byte(form))
	credentials := aws.Credentials{AccessKeyID: m.AccessKey, SecretAccessKey: m.SecretKey}
	if err := v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(sum[:]), "sts", m.Region, time.Now()); err != nil {
		return nil, err
	}
	response, err := m.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("AssumeRole: %s: %s", response.Status, body)
	}
	return body, err
}
