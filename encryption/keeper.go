package encryption

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"gocloud.dev/gcerrors"
	"gocloud.dev/secrets"
	"gocloud.dev/secrets/localsecrets"
)

// Keeper wraps data keys and unwraps them: a key management service, or a key in a
// file. Package keyurl opens one by its URL. It may be used by many goroutines.
type Keeper struct {
	name   string
	keeper *secrets.Keeper
	local  bool
}

// NewKeeper returns a Keeper. name is what key objects, errors and logs call it, and
// must hold no secret.
func NewKeeper(name string, k *secrets.Keeper) *Keeper { return &Keeper{name: name, keeper: k} }

// NewLocalKeeper returns a Keeper that needs no service. Its name has a fingerprint of
// the key, so that it says which one a key object needs.
func NewLocalKeeper(key [32]byte) *Keeper {
	sum := sha256.Sum256(key[:])
	return &Keeper{name: fmt.Sprintf("local:%x", sum[:8]), keeper: localsecrets.NewKeeper(key), local: true}
}

// Name says which keeper it is; it holds no secret.
func (k *Keeper) Name() string { return k.name }

// Close frees what the keeper holds.
func (k *Keeper) Close() error { return k.keeper.Close() }

// keeperTimeout bounds one request to a keeper. Its client may try it more than once.
const keeperTimeout = 30 * time.Second

func (k *Keeper) wrap(ctx context.Context, secret []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, keeperTimeout)
	defer cancel()
	wrapped, err := k.keeper.Encrypt(ctx, secret)
	if err != nil {
		return nil, fmt.Errorf("wrap a data key by %s: %w", k.name, err)
	}
	return wrapped, nil
}

// unwrap undoes wrap. The error matches ErrWrongKey if the keeper answered that it
// does not, or may not, unwrap it; else it could not be asked.
func (k *Keeper) unwrap(ctx context.Context, wrapped []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, keeperTimeout)
	defer cancel()
	secret, err := k.keeper.Decrypt(ctx, wrapped)
	switch {
	case err == nil:
		return secret, nil
	case k.refused(err):
		return nil, fmt.Errorf("%w: %w", ErrWrongKey, err)
	}
	return nil, err
}

// refused tells whether an error is the keeper's answer, which it would give again.
func (k *Keeper) refused(err error) bool {
	switch gcerrors.Code(err) {
	case gcerrors.NotFound, gcerrors.PermissionDenied, gcerrors.InvalidArgument, gcerrors.FailedPrecondition, gcerrors.Unimplemented:
		return true
	}
	var answer interface{ ErrorCode() string } // of AWS, which package secrets does not know all of
	if k.keeper.ErrorAs(err, &answer) || errors.As(err, &answer) {
		return answer.ErrorCode() == "AccessDeniedException" || answer.ErrorCode() == "IncorrectKeyException"
	}
	return k.local
}
