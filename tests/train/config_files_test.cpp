// How --config finds its file, and what is said if it does not.
#include "train/config_files.h"

#include <gmock/gmock.h>

#include "support/temporary_folder.h"
#include "train/fake_task.h"

namespace gfsa::train {
namespace {

using testing::HasSubstr;
using testing::Not;

class ConfigFilesTest : public testing::Test {
 protected:
  ConfigFilesTest() {
    for (const char* file :
         {"vit_gfsa.yaml", "image/cifar10_vit_gfsa.yaml", "image/deit_small_12_gfsa.yaml", "notes.txt"}) {
      const std::string path = folder_ / "configs/" + file;
      Env::real().create_directories(path.substr(0, path.rfind('/')));
      Env::real().write(path, "seed: 1\n");
    }
  }
  std::string find(const std::string& name) { return find_config(name, {folder_ / "configs"}); }
  std::string error(const std::string& name) {
    return message_of([&] { find(name); });
  }
  test::TemporaryFolder folder_;
};

TEST_F(ConfigFilesTest, AsGivenThenBelowTheFolders) {
  const std::string absolute = folder_ / "configs/vit_gfsa.yaml";
  EXPECT_EQ(find(absolute), absolute);
  EXPECT_EQ(find("vit_gfsa.yaml"), absolute);
  EXPECT_EQ(find("image/cifar10_vit_gfsa.yaml"), folder_ / "configs/image/cifar10_vit_gfsa.yaml");
}

TEST_F(ConfigFilesTest, SuggestsTheLikeliestAndListsAll) {
  EXPECT_THAT(error("vit_gfsa"), HasSubstr("did you mean 'vit_gfsa.yaml'?"));
  EXPECT_THAT(error("vit_gsfa.yaml"), HasSubstr("did you mean 'vit_gfsa.yaml'?"));
  EXPECT_THAT(error("cifar10_vit_gfsa"), HasSubstr("did you mean 'image/cifar10_vit_gfsa.yaml'?"));
  EXPECT_THAT(error("cifar10_vit_gfsa.yaml"), HasSubstr("did you mean 'image/cifar10_vit_gfsa.yaml'?"));
  EXPECT_THAT(error("imgae/deit_small_12_gfsa.yaml"), HasSubstr("did you mean 'image/deit_small_12_gfsa.yaml'?"));
  const auto message = error("zzz");
  EXPECT_THAT(message, Not(HasSubstr("did you mean")));
  EXPECT_THAT(message, HasSubstr("also not in " + (folder_ / "configs")));
  EXPECT_THAT(message,
              HasSubstr("There are: image/cifar10_vit_gfsa.yaml, image/deit_small_12_gfsa.yaml, vit_gfsa.yaml"));
}

TEST_F(ConfigFilesTest, AnAbsolutePathIsComparedWithItsNeighbours) {
  const auto message = error(folder_ / "configs/vit_gfs.yaml");
  EXPECT_THAT(message, HasSubstr("did you mean '" + (folder_ / "configs/vit_gfsa.yaml") + "'?"));
}

TEST(DefaultRunDir, IsTheNameOfTheFile) {
  EXPECT_EQ(default_run_dir("configs/image/cifar10_vit_gfsa.yaml"), "runs/cifar10_vit_gfsa");
  EXPECT_EQ(default_run_dir("a.b.yaml"), "runs/a.b");
}

}  // namespace
}  // namespace gfsa::train
