package s3driver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// Parameters are those that the URL of a bucket may have, with gocloud.dev's
// names and meanings.
func Parameters() []string {
	return []string{
		"accelerate", "anonymous", "disable_https", "dualstack", "endpoint", "fips", "kmskeyid", "profile", "region",
		"request_checksum_calculation", "response_checksum_validation", "role", "ssetype", "use_path_style",
	}
}

// settings are a URL's parameters, taken apart.
type settings struct {
	region, profile string
	role            string
	endpoint        string
	usePathStyle    bool
	accelerate      bool
	disableHTTPS    bool
	dualStack, fips bool
	anonymous       bool
	calculate       aws.RequestChecksumCalculation
	validate        aws.ResponseChecksumValidation
	encryption      encryption
}

// encryption is what the store is asked to encrypt an object with.
type encryption struct {
	kind types.ServerSideEncryption
	key  string
}

func (e encryption) apply(input *s3.PutObjectInput) {
	input.ServerSideEncryption = e.kind
	if e.key != "" {
		input.SSEKMSKeyId = &e.key
	}
}

func parse(parameters url.Values) (*settings, error) {
	s := &settings{region: parameters.Get("region"), profile: parameters.Get("profile"), role: parameters.Get("role")}
	for name, values := range parameters {
		if !slices.Contains(Parameters(), name) {
			return nil, fmt.Errorf("unknown parameter %q; known are %s", name, strings.Join(Parameters(), ", "))
		}
		if len(values) != 1 {
			return nil, fmt.Errorf("the parameter %s is given %d times", name, len(values))
		}
	}
	for name, flag := range map[string]*bool{
		"use_path_style": &s.usePathStyle, "accelerate": &s.accelerate, "disable_https": &s.disableHTTPS,
		"anonymous": &s.anonymous, "dualstack": &s.dualStack, "fips": &s.fips,
	} {
		if parameters.Has(name) {
			value, err := strconv.ParseBool(parameters.Get(name))
			if err != nil {
				return nil, fmt.Errorf("the parameter %s must be true or false", name)
			}
			*flag = value
		}
	}
	if err := errors.Join(
		parseChecksums(parameters, "request_checksum_calculation", &s.calculate, aws.RequestChecksumCalculationWhenSupported, aws.RequestChecksumCalculationWhenRequired),
		parseChecksums(parameters, "response_checksum_validation", &s.validate, aws.ResponseChecksumValidationWhenSupported, aws.ResponseChecksumValidationWhenRequired),
	); err != nil {
		return nil, err
	}
	if err := s.parseEncryption(parameters); err != nil {
		return nil, err
	}
	if s.endpoint = parameters.Get("endpoint"); s.endpoint != "" {
		u, err := url.Parse(s.endpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
			return nil, errors.New("the parameter endpoint must be like http://127.0.0.1:9000 or https://host, without credentials")
		}
	}
	if s.role != "" && (s.anonymous || !strings.HasPrefix(s.role, "arn:")) {
		return nil, errors.New("the parameter role must be like arn:aws:iam::123456789012:role/name, and not beside anonymous")
	}
	return s, nil
}

func (s *settings) parseEncryption(parameters url.Values) error {
	s.encryption.key = parameters.Get("kmskeyid")
	kind := parameters.Get("ssetype")
	if kind == "" {
		return nil
	}
	for _, known := range types.ServerSideEncryption("").Values() {
		if strings.EqualFold(string(known), kind) {
			s.encryption.kind = known
			return nil
		}
	}
	return fmt.Errorf("the parameter ssetype must be one of %v", types.ServerSideEncryption("").Values())
}

func parseChecksums[M any](parameters url.Values, name string, mode *M, supported, required M) error {
	switch parameters.Get(name) {
	case "":
	case "when_supported":
		*mode = supported
	case "when_required":
		*mode = required
	default:
		return fmt.Errorf("the parameter %s must be when_supported or when_required", name)
	}
	return nil
}

// options are those of the AWS configuration. What is not given comes from the
// environment and the profile.
func (s *settings) options() []func(*config.LoadOptions) error {
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(askTimeout)), // it asks for credentials
		config.WithRegion(s.region),
		config.WithSharedConfigProfile(s.profile),
		config.WithRequestChecksumCalculation(s.calculate),
		config.WithResponseChecksumValidation(s.validate),
	}
	if s.dualStack {
		options = append(options, config.WithUseDualStackEndpoint(aws.DualStackEndpointStateEnabled))
	}
	if s.fips {
		options = append(options, config.WithUseFIPSEndpoint(aws.FIPSEndpointStateEnabled))
	}
	if s.anonymous {
		options = append(options, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	}
	return options
}

// load finds the configuration and credentials, and fails if there are none.
func (s *settings) load(ctx context.Context) (aws.Config, error) {
	configuration, err := config.LoadDefaultConfig(ctx, s.options()...)
	if err != nil {
		return configuration, fmt.Errorf("read the settings of AWS in the environment and the profile (AWS_CA_BUNDLE, AWS_CONFIG_FILE and others): %w", err)
	}
	if configuration.Region == "" {
		return configuration, errors.New("no region: add region= to the URL, or set AWS_REGION (any, such as us-east-1, for a server that has none)")
	}
	if s.anonymous || configuration.Credentials == nil {
		return configuration, nil
	}
	if s.role != "" {
		configuration.Credentials = stscreds.NewAssumeRoleProvider(sts.NewFromConfig(configuration), s.role)
	}
	configuration.Credentials = refresh(configuration.Credentials)
	if _, err := configuration.Credentials.Retrieve(ctx); err != nil {
		if ctx.Err() != nil {
			return configuration, err
		}
		return configuration, fmt.Errorf("%w: no AWS credentials could be had; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role: %w", driver.ErrDenied, err)
	}
	return configuration, nil
}

func (s *settings) apply(o *s3.Options) {
	if s.endpoint != "" {
		o.BaseEndpoint = &s.endpoint
	}
	o.UsePathStyle = s.usePathStyle
	o.UseAccelerate = s.accelerate
	o.EndpointOptions.DisableHTTPS = s.disableHTTPS
}

// tlsConfig is what the configuration says about certificates: AWS_CA_BUNDLE, or
// ca_bundle of the profile. The configuration has it in its own HTTP client.
func tlsConfig(config aws.Config) *tls.Config {
	if client, ok := config.HTTPClient.(*awshttp.BuildableClient); ok {
		return client.GetTransport().TLSClientConfig
	}
	return nil
}
