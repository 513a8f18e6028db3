// registry.h -- the data sources that YAML names, one list a domain: a line here and a file in <domain>/sources/.
#pragma once

#include "config/registry.h"
#include "data/image/image_source.h"
#include "data/text/text_source.h"

namespace gfsa::data {

const config::Registry<ImageSourceConfig>& image_source_registry();
const config::Registry<TextSourceConfig>& text_source_registry();

}  // namespace gfsa::data
