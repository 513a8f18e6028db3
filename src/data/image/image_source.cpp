#include "data/image/image_source.h"

#include <utility>

namespace gfsa::data {
namespace {

class LimitedImages : public ImageSource {
 public:
  LimitedImages(std::shared_ptr<const ImageSource> source, int64_t count) : source_(std::move(source)), count_(count) {}
  int64_t size() const override { return count_; }
  std::string sample_name(int64_t i) const override { return source_->sample_name(at(i)); }
  std::string fingerprint() const override { return fmt::format("{} of {}", count_, source_->fingerprint()); }
  ImageSample get(int64_t i) const override { return source_->get(at(i)); }
  int64_t label(int64_t i) const override { return source_->label(at(i)); }
  const std::vector<std::string>& class_names() const override { return source_->class_names(); }
  bool is_decoded() const override { return source_->is_decoded(); }
  bool gives_pixels() const override { return source_->gives_pixels(); }
  bool flip_keeps_class() const override { return source_->flip_keeps_class(); }

 private:
  int64_t at(int64_t i) const { return i * source_->size() / count_; }

  std::shared_ptr<const ImageSource> source_;
  int64_t count_;
};

}  // namespace

std::shared_ptr<const ImageSource> limit_images(std::shared_ptr<const ImageSource> source, int64_t count) {
  if (count >= source->size()) return source;
  return std::make_shared<LimitedImages>(std::move(source), count);
}

}  // namespace gfsa::data
