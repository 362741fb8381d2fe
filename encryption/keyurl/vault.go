package keyurl

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/hashicorp/vault/api"
	"gocloud.dev/gcerrors"
	"gocloud.dev/secrets"

	"github.com/scheduler-store/scheduler-store/encryption"
)

// vault is a key of a transit engine of HashiCorp Vault. It takes the URLs and the
// environment of gocloud.dev/secrets/hashivault, which ignores contexts and has one code
// for all errors, so that a wrong key would be taken for a Vault that is away.
type vault struct {
	client *api.Client
	http   *http.Client
	engine string // where it is mounted
	key    string
}

// vaultKey is what transit allows as a key's name.
var vaultKey = regexp.MustCompile(`^\w([\w.-]*\w)?$`)

// openVault opens hashivault://KEY?engine=PATH. Where Vault is, and the token, is in the
// environment.
func openVault(u *url.URL) (*encryption.Keeper, error) {
	key := strings.Trim(u.Host+u.Path, "/")
	if !vaultKey.MatchString(key) {
		return nil, fmt.Errorf("%w: %.40q is no name of a key in Vault's transit engine; want hashivault://KEY, or hashivault://KEY?engine=PATH", ErrURL, key)
	}
	name := "hashivault://" + key
	engine := "transit"
	for parameter, values := range u.Query() {
		if parameter != "engine" || len(values) != 1 {
			// It is not quoted: it may itself be a value, and a secret one.
			return nil, fmt.Errorf("open key %s: its only parameter is engine, where the transit engine is mounted; it is given twice, or there is another", name)
		}
		engine = cmp.Or(strings.Trim(values[0], "/"), engine)
	}
	if path.Clean("/"+engine) != "/"+engine {
		return nil, fmt.Errorf("open key %s: the engine %.40q is no path where one can be mounted", name, engine)
	}
	config, err := vaultConfig()
	if err != nil {
		return nil, fmt.Errorf("open key %s: %w", name, err)
	}
	client, err := api.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("open key %s: %w", name, err)
	}
	if token := os.Getenv("VAULT_SERVER_TOKEN"); token != "" {
		client.SetToken(token)
	}
	address, err := url.Parse(client.Address())
	if err != nil {
		return nil, fmt.Errorf("open key %s: Vault's address cannot be read as a URL", name)
	}
	// Keys of one name in two Vaults, or two namespaces, are two.
	name = "hashivault://" + path.Join(address.Host, client.Namespace(), engine, key)
	return encryption.NewKeeper(name, secrets.NewKeeper(&vault{client, config.HttpClient, engine, key})), nil
}

// vaultConfig reads the environment. No error quotes an address, which may have a
// password in it.
func vaultConfig() (*api.Config, error) {
	variables := []string{"VAULT_SERVER_URL", api.EnvVaultAddress, api.EnvVaultAgentAddr}
	found := false
	for _, variable := range variables {
		text := os.Getenv(variable)
		if text == "" {
			continue
		}
		found = true
		u, err := url.Parse(text)
		switch {
		case err != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "unix" && (u.Scheme != "http" && u.Scheme != "https" || u.Host == ""):
			return nil, fmt.Errorf("%s is no address of a Vault; want https://HOST:8200", variable)
		case u.User != nil:
			return nil, fmt.Errorf("%s holds credentials before an @; Vault takes a token, in VAULT_TOKEN", variable)
		}
	}
	if !found {
		return nil, errors.New("where Vault is must be in the environment: VAULT_ADDR=https://HOST:8200, and a token in VAULT_TOKEN")
	}
	config := api.DefaultConfig()
	if _, proxy := errors.AsType[*url.Error](config.Error); proxy {
		return nil, errors.New("the proxy's address (VAULT_PROXY_ADDR or VAULT_HTTP_PROXY) cannot be read as a URL")
	} else if config.Error != nil {
		return nil, fmt.Errorf("the settings for Vault in the environment: %w", config.Error)
	}
	if address := os.Getenv("VAULT_SERVER_URL"); address != "" {
		config.Address = address
	}
	return config, nil
}

// Encrypt implements driver.Keeper.
func (v *vault) Encrypt(ctx context.Context, plaintext []byte) ([]byte, error) {
	text, err := v.ask(ctx, "encrypt", "plaintext", base64.StdEncoding.EncodeToString(plaintext), "ciphertext")
	return []byte(text), err
}

// Decrypt implements driver.Keeper.
func (v *vault) Decrypt(ctx context.Context, ciphertext []byte) ([]byte, error) {
	text, err := v.ask(ctx, "decrypt", "ciphertext", string(ciphertext), "plaintext")
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(text)
}

// errNotTransit: the answer is none that a transit engine gives.
var errNotTransit = errors.New("no transit engine answers")

// ask makes one request, which the client tries again if Vault can't be reached, is
// sealed, or has no leader.
func (v *vault) ask(ctx context.Context, operation, parameter, value, result string) (string, error) {
	answer, err := v.client.Logical().WriteWithContext(ctx, path.Join(v.engine, operation, v.key), map[string]any{parameter: value})
	if refusal, ok := errors.AsType[*api.ResponseError](err); ok {
		return "", &vaultError{refusal}
	} else if err != nil {
		return "", err
	}
	if answer != nil {
		if text, _ := answer.Data[result].(string); text != "" {
			return text, nil
		}
	}
	return "", fmt.Errorf("%w at %s; give with ?engine=PATH where it is mounted", errNotTransit, v.engine)
}

// vaultError is an answer other than success, in one line.
type vaultError struct{ response *api.ResponseError }

func (e *vaultError) Error() string {
	says := strings.Join(e.response.Errors, "; ")
	if e.response.RawError { // a page of whatever stands before Vault
		says = "not in Vault's words"
	}
	return fmt.Sprintf("Vault answers %d %s: %s", e.response.StatusCode, http.StatusText(e.response.StatusCode), strings.Join(strings.Fields(says), " "))
}

// ErrorCode implements driver.Keeper: what Vault would say again has a code that package
// encryption takes for a refusal. Only what Vault itself says counts, not what a proxy
// says in its place.
func (v *vault) ErrorCode(err error) gcerrors.ErrorCode {
	if errors.Is(err, errNotTransit) {
		return gcerrors.NotFound
	}
	answer, ok := errors.AsType[*vaultError](err)
	if !ok || answer.response.RawError {
		return gcerrors.Unknown
	}
	switch answer.response.StatusCode {
	case http.StatusBadRequest: // no such key, or another's ciphertext
		return gcerrors.InvalidArgument
	case http.StatusForbidden: // the token, or its policies
		return gcerrors.PermissionDenied
	case http.StatusNotFound: // no such engine
		return gcerrors.NotFound
	case http.StatusMethodNotAllowed: // another kind of engine
		return gcerrors.Unimplemented
	}
	return gcerrors.Unknown
}

// ErrorAs implements driver.Keeper.
func (v *vault) ErrorAs(error, any) bool { return false }

// Close implements driver.Keeper.
func (v *vault) Close() error {
	v.http.CloseIdleConnections()
	return nil
}
