// A device of torch's on which tensors lie in ordinary memory: what mixes devices fails as on a GPU.
//
// It is torch's place for backends from elsewhere (PrivateUse1), named "pretend" in Python. A few operations
// are its own; all others are done by those of the CPU, on copies, once it is known that no operand of more
// than one number lies elsewhere and that random numbers come from a generator of this device.

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <cstdlib>
#include <cstring>

namespace {

using at::Tensor;
using c10::Device;
using c10::DeviceIndex;
using c10::DeviceType;
using c10::IntArrayRef;
using c10::Stream;

constexpr auto TYPE = DeviceType::PrivateUse1;
const auto KEYS = c10::DispatchKeySet(c10::DispatchKey::PrivateUse1);

// ------------------------------------------------------------------------------------------------- memory

struct Memory final : c10::Allocator {
  c10::DataPtr allocate(size_t n) override {
    void* p = n ? std::malloc(n) : nullptr;
    if (n) std::memset(p, 0xCD, n);  // nobody shall count on zeros
    return {p, p, &std::free, Device(TYPE, 0)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void* to, const void* from, size_t n) const override { std::memcpy(to, from, n); }
};

Memory memory;

// -------------------------------------------------------------------------- one device, one stream, no waiting

struct Guard final : c10::impl::DeviceGuardImplInterface {
  DeviceType type() const override { return TYPE; }
  Device exchangeDevice(Device) const override { return Device(TYPE, 0); }
  Device getDevice() const override { return Device(TYPE, 0); }
  void setDevice(Device) const override {}
  void uncheckedSetDevice(Device) const noexcept override {}
  Stream getStream(Device d) const override { return Stream(Stream::DEFAULT, d); }
  Stream getDefaultStream(Device d) const override { return Stream(Stream::DEFAULT, d); }
  Stream getNewStream(Device d, int) const override { return Stream(Stream::DEFAULT, d); }
  Stream exchangeStream(Stream s) const override { return s; }
  DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const Stream&, const DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const DeviceIndex) const noexcept override {}
  bool queryStream(const Stream&) const override { return true; }
  void synchronizeStream(const Stream&) const override {}
  void synchronizeDevice(const DeviceIndex) const override {}
  void recordDataPtrOnStream(const c10::DataPtr&, const Stream&) const override {}
};

// A generator of this device, whose numbers differ from the CPU's of the same seed, as a GPU's do.
struct Generator final : c10::GeneratorImpl {
  static constexpr uint64_t OTHER = 0x5bd1e995;
  at::Generator own;

  explicit Generator(at::Generator g) : GeneratorImpl(Device(TYPE, 0), KEYS), own(std::move(g)) {}
  void set_current_seed(uint64_t seed) override { own.set_current_seed(seed ^ OTHER); }
  uint64_t current_seed() const override { return own.current_seed() ^ OTHER; }
  uint64_t seed() override { return own.seed(); }
  void set_offset(uint64_t) override {}
  uint64_t get_offset() const override { return 0; }
  void set_state(const c10::TensorImpl& s) override { own.unsafeGetGeneratorImpl()->set_state(s); }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override {
    return own.unsafeGetGeneratorImpl()->get_state();
  }
  GeneratorImpl* clone_impl() const override { return new Generator(own.clone()); }
};

at::Generator new_generator() {
  return at::make_generator<Generator>(at::detail::createCPUGenerator(0));
}

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex deviceCount() const override { return 1; }
  DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(DeviceIndex) const override {}
  DeviceIndex exchangeDevice(DeviceIndex) const override { return 0; }
  DeviceIndex maybeExchangeDevice(DeviceIndex) const override { return 0; }
  at::Allocator* getPinnedMemoryAllocator() const override { return at::getCPUAllocator(); }
  at::Generator getNewGenerator(DeviceIndex) const override { return new_generator(); }
  const at::Generator& getDefaultGenerator(DeviceIndex) const override {
    static at::Generator one = new_generator();
    return one;
  }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t n) const override {
    auto fresh = memory.allocate(n);
    auto kept = std::min(n, storage.nbytes());
    if (kept) std::memcpy(fresh.get(), storage.data(), kept);
    storage.unsafeGetStorageImpl()->set_data_ptr_noswap(std::move(fresh));
    storage.unsafeGetStorageImpl()->set_nbytes(n);
  }
};

// --------------------------------------------------------------------------------------------- operations

Tensor empty(IntArrayRef size, std::optional<c10::ScalarType> type, std::optional<c10::Layout>,
             std::optional<Device>, std::optional<bool>, std::optional<c10::MemoryFormat> format) {
  return Tensor(at::detail::empty_generic(size, &memory, KEYS, c10::dtype_or_default(type), format));
}

Tensor empty_strided(IntArrayRef size, IntArrayRef stride, std::optional<c10::ScalarType> type,
                     std::optional<c10::Layout>, std::optional<Device>, std::optional<bool>) {
  auto of = c10::dtype_or_default(type);
  return Tensor(at::detail::empty_strided_generic(size, stride, &memory, KEYS, of));
}

// The same numbers in the same memory, for operations of the CPU.
Tensor as_cpu(const Tensor& x) {
  if (!x.defined() || x.is_cpu()) return x;
  return at::from_blob(x.data_ptr(), x.sizes(), x.strides(), x.options().device(DeviceType::CPU));
}

Tensor back(const Tensor& x) { return x.defined() ? x.to(Device(TYPE, 0)) : x; }

Tensor copy_from(const Tensor& from, const Tensor& to, bool) {
  if (from.numel()) as_cpu(to).copy_(as_cpu(from));
  return to;
}

Tensor copy_from_and_resize(const Tensor& from, const Tensor& to) {
  return copy_from(from, to.resize_(from.sizes()), false);
}

at::Scalar number(const Tensor& x) { return as_cpu(x).item(); }

const Tensor& resize(const Tensor& x, IntArrayRef size, std::optional<c10::MemoryFormat>) {
  auto* impl = x.unsafeGetTensorImpl();
  size_t n = (c10::multiply_integers(size) + impl->storage_offset()) * x.itemsize();
  if (n > impl->storage().nbytes()) at::detail::getPrivateUse1Hooks().resizePrivateUse1Bytes(impl->storage(), n);
  impl->set_sizes_contiguous(size);
  return x;
}

Tensor convolve(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias, IntArrayRef stride,
                IntArrayRef padding, IntArrayRef dilation, bool transposed, IntArrayRef more, int64_t groups) {
  TORCH_CHECK(x.device() == weight.device(), "a convolution on two devices");
  std::optional<Tensor> b;
  if (bias && bias->defined()) b = as_cpu(*bias);
  return back(at::convolution(as_cpu(x), as_cpu(weight), b, stride, padding, dilation, transposed, more, groups));
}

std::tuple<Tensor, Tensor, Tensor> convolve_back(
    const Tensor& gradient, const Tensor& x, const Tensor& weight, IntArrayRef stride, IntArrayRef padding,
    IntArrayRef dilation, bool transposed, IntArrayRef more, int64_t groups, std::array<bool, 3> wanted) {
  std::vector<int64_t> bias = {weight.size(0)};
  auto [a, b, c] = at::convolution_backward(as_cpu(gradient), as_cpu(x), as_cpu(weight), IntArrayRef(bias),
                                            stride, padding, dilation, transposed, more, groups, wanted);
  return {back(a), back(b), back(c)};
}

// Raises an error as a GPU does; an index may lie on the CPU there, too.
void by_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& arguments = op.schema().arguments();
  const std::string& name = op.schema().name();
  bool here = false;
  std::string elsewhere;
  auto look = [&](const Tensor& x, size_t i) {
    if (!x.defined()) return;
    if (x.device().type() == TYPE) here = true;
    else if (x.dim() > 0 && arguments[i].name() != "indices") elsewhere += " " + arguments[i].name();
  };
  const size_t first = stack->size() - arguments.size();
  for (size_t i = 0; i < arguments.size(); i++) {
    auto& value = (*stack)[first + i];
    if (value.isTensor()) look(value.toTensor(), i);
    if (value.isTensorList()) for (const Tensor& x : value.toTensorVector()) look(x, i);
    if (value.isDevice()) here = here || value.toDevice().type() == TYPE;
    if (value.isGenerator()) {
      auto own = value.toGenerator();
      TORCH_CHECK(own.device().type() == TYPE, name, ": expected a 'pretend' generator, found a 'cpu' one");
      value = c10::IValue(static_cast<Generator*>(own.unsafeGetGeneratorImpl())->own);
    }
  }
  TORCH_CHECK(!here || elsewhere.empty(), name, ": tensors on two devices; on the CPU:", elsewhere);
  at::native::cpu_fallback(op, stack);
}

}  // namespace

REGISTER_ALLOCATOR(TYPE, &memory);
namespace c10::impl {
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&by_cpu>()); }

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("as_strided", TORCH_FN(at::native::as_strided_tensorimpl));
  m.impl("view", TORCH_FN(at::native::view));
  m.impl("_reshape_alias", TORCH_FN(at::native::_reshape_alias));
  m.impl("unfold", TORCH_FN(at::native::unfold));
  m.impl("set_.source_Storage", TORCH_FN(at::native::set_));
  m.impl("set_.source_Storage_storage_offset", TORCH_FN(at::native::set_storage_cpu_));
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("_local_scalar_dense", number);
  m.impl("resize_", resize);
  m.impl("convolution_overrideable", convolve);
  m.impl("convolution_backward_overrideable", convolve_back);
}

Hooks hooks;
const bool registered = (at::RegisterPrivateUse1HooksInterface(&hooks), true);
