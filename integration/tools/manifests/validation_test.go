package manifests

import (
	"fmt"
	"strings"
	"testing"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	podapi "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	networkingvalidation "k8s.io/kubernetes/pkg/apis/networking/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	policyvalidation "k8s.io/kubernetes/pkg/apis/policy/validation"
)

// validate gives an object the defaults of the API server, and looks at it with the API
// server's own functions.
func validate(text string) error {
	object, _, err := legacyscheme.Codecs.UniversalDecoder().Decode([]byte(text), nil, nil)
	if err != nil {
		return err
	}
	return errorsOf(object).ToAggregate()
}

func errorsOf(object runtime.Object) field.ErrorList {
	switch o := object.(type) {
	case *apps.StatefulSet:
		return appsvalidation.ValidateStatefulSet(o, appsvalidation.StatefulSetValidationOptions{}, podapi.GetValidationOptionsFromPodTemplate(&o.Spec.Template, nil))
	case *apps.Deployment:
		return appsvalidation.ValidateDeployment(o, podapi.GetValidationOptionsFromPodTemplate(&o.Spec.Template, nil))
	case *core.Service:
		if o.Spec.ClusterIP != "" {
			o.Spec.ClusterIPs = []string{o.Spec.ClusterIP} // as the server does first
		}
		return corevalidation.ValidateServiceCreate(o)
	case *core.ConfigMap:
		return corevalidation.ValidateConfigMap(o)
	case *core.ServiceAccount:
		return corevalidation.ValidateServiceAccount(o)
	case *policy.PodDisruptionBudget:
		// The server looks at its name and labels elsewhere.
		return append(corevalidation.ValidateObjectMeta(&o.ObjectMeta, true, apivalidation.NameIsDNSSubdomain, field.NewPath("metadata")),
			policyvalidation.ValidatePodDisruptionBudget(o, policyvalidation.PodDisruptionBudgetValidationOptions{})...)
	case *networking.NetworkPolicy:
		return networkingvalidation.ValidateNetworkPolicy(o, networkingvalidation.NetworkPolicyValidationOptions{})
	}
	return field.ErrorList{field.InternalError(nil, fmt.Errorf("nothing here checks a %T", object))}
}

func TestServerWouldTakeTheManifests(t *testing.T) {
	each(t, func(t *testing.T, r *rendered) {
		for _, text := range r.texts {
			if err := validate(text); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		}
	})
}

// It notices values that are of the right type and wrong all the same.
func TestServerWouldRefuse(t *testing.T) {
	r := render(t, root+"/deploy/kubernetes/overlays/minio")
	for was, is := range map[string]string{
		"seconds: 5\n": "seconds: 60\n", // longer than the grace period
		"name: scheduler-store-router\n  namespace": "name: Router\n  namespace",
		"port: 8410\n":                            "port: 84100\n",
		"whenUnsatisfiable: DoNotSchedule":        "whenUnsatisfiable: Never",
		"unhealthyPodEvictionPolicy: AlwaysAllow": "unhealthyPodEvictionPolicy: Always",
		"app.kubernetes.io/component: store":      "app.kubernetes.io/component: a store",
	} {
		changed := 0
		for _, text := range r.texts {
			if strings.Contains(text, was) {
				changed++
				if err := validate(strings.ReplaceAll(text, was, is)); err == nil {
					t.Errorf("%q is taken for %q in\n%s", is, was, text)
				}
			}
		}
		if changed == 0 {
			t.Errorf("there is no %q", was)
		}
	}
}
