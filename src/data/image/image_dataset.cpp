#include "data/image/image_dataset.h"

#include <algorithm>
#include <utility>

#include "data/image/mixup.h"
#include "data/image/pixel_ops.h"

namespace gfsa::data {
namespace {

// Whether training changes pictures as bytes or erases; mixing works on pixels too.
bool changes_pictures(const AugmentConfig& a) {
  return a.random_resized_crop.enabled || a.pad_crop.padding > 0 || a.flip > 0 || a.policy != "none" ||
         !a.color_jitter.empty() || a.erasing.prob > 0;
}

}  // namespace

ImageDataset::ImageDataset(std::shared_ptr<const ImageSource> source, const AugmentConfig& augment,
                           const ImageDatasetOptions& options)
    : source_(std::move(source)),
      augment_(augment),
      options_(options),
      train_transform_(augment, options.image_size),
      eval_transform_(augment, options.image_size),
      cache_(source_->size(), source_->is_decoded() ? 0 : options.cache_bytes),
      classes_(options.classes > 0 ? options.classes : static_cast<int64_t>(source_->class_names().size())) {
  if (classes_ < static_cast<int64_t>(source_->class_names().size())) {
    bad_input("the model has {} classes, expected at least {}, the number of classes in the data", classes_,
              source_->class_names().size());
  }
  if (options.channels != 1 && options.channels != 3) {
    bad_input("model.channels: is {}, expected 1 or 3, the channels of pictures", options.channels);
  }
  if (options.train && source_->gives_pixels() && changes_pictures(augment)) {
    bad_input(
        "data: the source holds f32 pixels, which are taken as they are; expected augment.flip 0 and no crop, "
        "policy, colour jitter or erasing, or a source with u8 pictures");
  }
  if (options.train && augment.flip > 0 && !source_->flip_keeps_class()) {
    bad_input(
        "augment.flip: is {}, but a mirror image changes the class in {}; set augment.flip: 0 (Fashion-MNIST "
        "is data.source fashion_mnist)",
        augment.flip, source_->fingerprint());
  }
}

void ImageDataset::allocate(Batch& batch, std::span<const SampleRef> samples) {
  const int64_t b = batch.size, s = options_.image_size;
  batch.set("images", Tensor::empty({b, options_.channels, s, s}, DType::f32));
  batch.set("labels", Tensor::empty({b}, DType::i64));
  if (options_.train && augment_.soft_targets()) {
    batch.set("targets", Tensor::empty({b, classes_}, DType::f32));
  }
  batch.set("sample_ids", Tensor::empty({b}, DType::i64));
  batch.scratch = std::make_shared<uint64_t>(samples.empty() ? 0 : samples[0].position);
}

std::shared_ptr<const ImageSample> ImageDataset::load(int64_t index) {
  if (auto cached = cache_.get(index)) return cached;
  auto sample = std::make_shared<const ImageSample>(source_->get(index));
  cache_.put(index, sample, sample->bytes() + static_cast<int64_t>(sizeof(ImageSample)));
  return sample;
}

void ImageDataset::fill(Batch& batch, int64_t slot, const SampleRef& ref) {
  const auto sample = load(ref.index);
  const size_t values = static_cast<size_t>(options_.channels) * options_.image_size * options_.image_size;
  const auto at = static_cast<size_t>(slot);
  write_pixels(*sample, ref, batch.epoch, {batch.at("images").data<float>() + at * values, values});
  batch.at("labels").data<int64_t>()[at] = sample->label;
  batch.at("sample_ids").data<int64_t>()[at] = ref.index;
}

void ImageDataset::write_pixels(const ImageSample& sample, const SampleRef& ref, int64_t epoch,
                                std::span<float> out) const {
  if (sample.pixels) return copy_pixels(sample.pixels, out);
  if (options_.channels == 1) {
    Image gray = sample.image;
    grayscale(gray);
    std::vector<float> three(3 * out.size());
    if (options_.train) {
      auto rng = augment_sequence(options_.seed, static_cast<uint64_t>(epoch), ref.position);
      train_transform_(gray, rng, three);
    } else {
      eval_transform_(gray, three);
    }
    std::copy_n(three.begin(), out.size(), out.begin());
  } else if (options_.train) {
    auto rng = augment_sequence(options_.seed, static_cast<uint64_t>(epoch), ref.position);
    train_transform_(sample.image, rng, out);
  } else {
    eval_transform_(sample.image, out);
  }
}

void ImageDataset::copy_pixels(const Tensor& pixels, std::span<float> out) const {
  const Shape expected{options_.channels, options_.image_size, options_.image_size};
  if (!(pixels.shape() == expected)) {
    bad_input("f32 pixels of shape {}, expected {} as the model wants them: they are not resized",
              pixels.shape().text(), expected.text());
  }
  std::copy_n(pixels.data<float>(), out.size(), out.begin());
}

void ImageDataset::finish(Batch& batch) {
  if (!batch.has("targets")) return;
  const int size = options_.image_size, n = static_cast<int>(batch.size);
  const auto first = *std::static_pointer_cast<uint64_t>(batch.scratch);
  auto rng = mix_sequence(options_.seed, static_cast<uint64_t>(batch.epoch) << 32 | first);
  const MixDraw draw = draw_mix(rng, augment_.mix(), size, size);
  const Tensor &images = batch.at("images"), &targets = batch.at("targets");
  apply_mix(draw, {images.data<float>(), static_cast<size_t>(images.numel())}, n, options_.channels, size, size);
  mix_targets(draw.lambda, augment_.label_smoothing, {batch.at("labels").data<int64_t>(), static_cast<size_t>(n)},
              static_cast<int>(classes_), {targets.data<float>(), static_cast<size_t>(targets.numel())});
}

}  // namespace gfsa::data
