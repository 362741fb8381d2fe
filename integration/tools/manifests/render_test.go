package manifests

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// The project's root.
const root = "../../.."

// rendered is what one kustomization makes.
type rendered struct {
	name            string
	texts           []string
	store           *appsv1.StatefulSet
	router          *appsv1.Deployment
	services        map[string]*corev1.Service
	budgets         []*policyv1.PodDisruptionBudget
	policies        []*networkingv1.NetworkPolicy
	configMaps      map[string]*corev1.ConfigMap
	serviceAccounts map[string]*corev1.ServiceAccount
}

// each renders all overlays, and all components together.
func each(t *testing.T, check func(t *testing.T, r *rendered)) {
	t.Helper()
	folders, err := filepath.Glob(root + "/deploy/kubernetes/overlays/*")
	if err != nil || len(folders) < 3 {
		t.Fatalf("overlays: %q, %v", folders, err)
	}
	for _, folder := range append(folders, "testdata/tls") {
		t.Run(filepath.Base(folder), func(t *testing.T) { check(t, render(t, folder)) })
	}
}

func render(t *testing.T, folder string) *rendered {
	t.Helper()
	options := krusty.MakeDefaultOptions()
	resources, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		t.Fatal(err)
	}
	r := &rendered{name: filepath.Base(folder), services: map[string]*corev1.Service{}, configMaps: map[string]*corev1.ConfigMap{}, serviceAccounts: map[string]*corev1.ServiceAccount{}}
	for _, resource := range resources.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		r.texts = append(r.texts, string(text))
		object, err := decode(text)
		if err != nil {
			t.Errorf("%s: %v", resource.CurId(), err)
			continue
		}
		r.add(t, object)
	}
	if r.store == nil || r.router == nil {
		t.Fatalf("the stores or the router are missing in\n%s", r.texts)
	}
	return r
}

func (r *rendered) add(t *testing.T, object runtime.Object) {
	t.Helper()
	if meta, ok := object.(metav1.Object); !ok || meta.GetNamespace() != "scheduler-store" {
		t.Errorf("%T is in the namespace %q", object, meta.GetNamespace())
	}
	switch o := object.(type) {
	case *appsv1.StatefulSet:
		r.store = o
	case *appsv1.Deployment:
		r.router = o
	case *corev1.Service:
		r.services[o.Name] = o
	case *policyv1.PodDisruptionBudget:
		r.budgets = append(r.budgets, o)
	case *networkingv1.NetworkPolicy:
		r.policies = append(r.policies, o)
	case *corev1.ConfigMap:
		r.configMaps[o.Name] = o
	case *corev1.ServiceAccount:
		r.serviceAccounts[o.Name] = o
	default:
		t.Errorf("nothing here checks a %T", object)
	}
}

// decode reads an object into its type. A field that the type does not have, or that comes
// twice, is an error.
func decode(text []byte) (runtime.Object, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme, networkingv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	object, _, err := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer().Decode(text, nil, nil)
	return object, err
}

func TestManifestsAreOfTheirTypes(t *testing.T) {
	each(t, func(t *testing.T, r *rendered) {
		if len(r.services) != 3 || len(r.budgets) != 2 || len(r.policies) != 2 || len(r.configMaps) != 2 || len(r.serviceAccounts) != 1 {
			t.Errorf("it renders as\n%s", r.texts)
		}
	})
}

// What reads the manifests notices what is wrong in them.
func TestDecodeRefuses(t *testing.T) {
	good := "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\nspec:\n  ports:\n    - port: 1\n"
	if _, err := decode([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a field that there isn't":  good + "  publishNotReadyAdresses: true\n",
		"a field that comes twice":  good + "  ports: []\n",
		"a value of the wrong type": strings.Replace(good, "port: 1", "port: http", 1),
		"a kind that there isn't":   strings.Replace(good, "Service", "Servce", 1),
	} {
		if _, err := decode([]byte(text)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// selects tells whether a selector finds the pods of a template.
func selects(t *testing.T, selector *metav1.LabelSelector, pod corev1.PodTemplateSpec) bool {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return s.Matches(labels.Set(pod.Labels))
}

// templates are those of the pods, by component.
func (r *rendered) templates() map[string]corev1.PodTemplateSpec {
	return map[string]corev1.PodTemplateSpec{"store": r.store.Spec.Template, "router": r.router.Spec.Template}
}

// Each selector finds the pods of its own component, and no others; each Service leads to a
// port that they have.
func TestSelectors(t *testing.T) {
	each(t, func(t *testing.T, r *rendered) {
		type selector struct {
			name, component string
			labels          *metav1.LabelSelector
		}
		all := []selector{
			{"StatefulSet", r.store.Labels["app.kubernetes.io/component"], r.store.Spec.Selector},
			{"Deployment", r.router.Labels["app.kubernetes.io/component"], r.router.Spec.Selector},
		}
		for _, s := range r.services {
			all = append(all, selector{"Service " + s.Name, s.Labels["app.kubernetes.io/component"], &metav1.LabelSelector{MatchLabels: s.Spec.Selector}})
			for _, port := range s.Spec.Ports {
				found := slices.ContainsFunc(r.templates()[s.Labels["app.kubernetes.io/component"]].Spec.Containers[0].Ports,
					func(p corev1.ContainerPort) bool {
						return p.Name == port.TargetPort.StrVal && p.ContainerPort == port.Port
					})
				if !found {
					t.Errorf("Service %s: the pods have no port %s, %d", s.Name, port.TargetPort.StrVal, port.Port)
				}
			}
		}
		for _, b := range r.budgets {
			all = append(all, selector{"PodDisruptionBudget " + b.Name, b.Labels["app.kubernetes.io/component"], b.Spec.Selector})
		}
		for _, p := range r.policies {
			all = append(all, selector{"NetworkPolicy " + p.Name, p.Labels["app.kubernetes.io/component"], &p.Spec.PodSelector})
		}
		for component, template := range r.templates() {
			for i, spread := range template.Spec.TopologySpreadConstraints {
				all = append(all, selector{component + "'s spread " + string(rune('0'+i)), component, spread.LabelSelector})
			}
		}
		for _, s := range all {
			for component, template := range r.templates() {
				if got, want := selects(t, s.labels, template), component == s.component; got != want {
					t.Errorf("%s of %s finds the pods of %s: %v", s.name, s.component, component, got)
				}
			}
		}
	})
}
